"""Headers of every response, whichever module writes it."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence

_CORS_EXPOSED_HEADERS = "content-length, content-range, etag, retry-after, x-request-id, x-total-count"


def new_request_id() -> str:
    """Return a random id, which a client can name when it reports an error."""
    return secrets.token_hex(8)


def common_headers(origin: str | None, allowed_origins: Collection[str]) -> Sequence[tuple[str, str]]:
    """Return the security headers, and the CORS headers if a page of an allowed origin sent the request.

    `X-Request-Id` is not among them.
    """
    headers = [
        ("Server", "videoflix"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Vary", "Origin"),
    ]
    if origin and origin in allowed_origins:
        headers += [
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Expose-Headers", _CORS_EXPOSED_HEADERS),
        ]
    return headers
