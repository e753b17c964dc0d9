"""Cross-origin rules: which pages may call the API (CORS), and which may use a visitor's cookies (CSRF).

The CORS headers that every response has are in `response_headers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tornado.httputil import HTTPServerRequest

from videoflix.settings import Settings

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

_PREFLIGHT_MAX_AGE_S = 86400
# The published API allows the tus headers, and existing pages may rely on that. There is no tus endpoint.
_ALLOWED_REQUEST_HEADERS = (
    "accept, authorization, content-type, range, user-agent, x-csrftoken, x-requested-with, "
    "tus-resumable, upload-length, upload-metadata, upload-offset, upload-concat, upload-checksum"
)


def preflight_headers(endpoint_methods: Sequence[str]) -> Mapping[str, str]:
    """Return the headers of a response to OPTIONS, beside those of every response."""
    return {
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Allow-Headers": _ALLOWED_REQUEST_HEADERS,
        "Access-Control-Max-Age": str(_PREFLIGHT_MAX_AGE_S),
        "Allow": ", ".join(endpoint_methods),
    }


def is_cross_site(request: HTTPServerRequest, settings: Settings) -> bool:
    """Return whether a page of another site, not among the allowed origins, sent this request.

    Judged by the Origin header, or without one by Sec-Fetch-Site (Fetch Metadata). Clients that are no browsers send
    neither.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site") == "cross-site"
    return origin not in settings.cors_origins and not _is_same_origin(origin, request, settings)


def _is_same_origin(origin: str, request: HTTPServerRequest, settings: Settings) -> bool:
    """Return whether this is the origin of this server: its PUBLIC_URL, since proxies may change the host, or the host.

    Browsers send scheme, host and port and nothing else (RFC 6454, section 6.2).
    """
    scheme, _, host = origin.partition("://")
    return (scheme in ("http", "https") and host == request.host.lower()) or origin == settings.public_url
