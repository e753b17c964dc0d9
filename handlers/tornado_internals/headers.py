"""Copies of Tornado's headers."""

from __future__ import annotations

from tornado.httputil import HTTPHeaders


def copy_headers(headers: HTTPHeaders) -> HTTPHeaders:
    """Return an independent copy. Tornado's own `copy` validates every field again."""
    copied = HTTPHeaders()
    copied._as_list = {name: values.copy() for name, values in headers._as_list.items()}
    return copied
