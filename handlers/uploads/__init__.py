"""Streamed request bodies and multipart uploads."""
