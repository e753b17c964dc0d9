"""Videoflix: a self-hosted video streaming backend."""

__version__ = "0.1.0"
