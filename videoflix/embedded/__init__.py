"""Servers and tools for a machine that has none of its own."""
