"""Headers that every answer has, whoever writes it."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence

_CORS_EXPOSED_HEADERS = "content-length, content-range, etag, retry-after, x-request-id, x-total-count"


def new_request_id() -> str:
    """What a client can name when it reports an error."""
    return secrets.token_hex(8)


def common_headers(origin: str | None, allowed_origins: Collection[str]) -> Sequence[tuple[str, str]]:
    """Safety, and CORS for a page of an allowed origin; for all but the request id."""
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
