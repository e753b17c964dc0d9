"""How Tornado answers what it cannot read as a request: fixed bytes, for an HTTPInputError with a fixed message."""

from __future__ import annotations

BAD_REQUEST_RESPONSE = b"HTTP/1.1 400 Bad Request\r\n\r\n"
_TOO_LARGE_MESSAGES = ("Content-Length too long", "chunked body too large")


def is_body_too_large(error: BaseException | None) -> bool:
    """Return whether Tornado raised this error because a body exceeds the connection's `max_body_size`."""
    return str(error) in _TOO_LARGE_MESSAGES
