"""Everything that touches private parts of Tornado, and of `http.cookies`, which Tornado's cookies are made of.

Nothing else in the code accesses them. `tests/unit/handlers/test_tornado_internals.py` has a test for each part, which
fails when a new version no longer has it.
"""
