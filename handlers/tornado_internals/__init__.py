"""Everything that touches private parts of Tornado, each pinned by a test."""
