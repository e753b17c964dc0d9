"""Where a request comes from, behind any number of reverse proxies."""

from __future__ import annotations

import ipaddress

from tornado.httputil import HTTPServerRequest


def believe_proxies(request: HTTPServerRequest, trusted: int) -> None:
    """Take address and protocol from what the last `trusted` proxies wrote; what stands before it, anybody wrote."""
    if not trusted:
        return
    peer = request.remote_ip or ""
    chain = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    claimed = chain[-trusted:][0] if chain else peer
    request.remote_ip = claimed if _is_address(claimed) else peer
    protocol = request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower()
    if protocol in ("http", "https"):
        request.protocol = protocol


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
