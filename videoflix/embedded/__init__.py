"""Embedded servers and tools, for a machine that has none installed."""
