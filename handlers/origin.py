"""Where a request comes from, behind any number of reverse proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from tornado.httputil import HTTPServerRequest


def believe_proxies(request: HTTPServerRequest, trusted: int) -> None:
    """Take address and protocol from what the last `trusted` proxies wrote; what stands before it, anybody wrote."""
    if not trusted:
        return
    request.remote_ip = client_address(request.remote_ip or "", request.headers, trusted)
    protocol = request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower()
    if protocol in ("http", "https"):
        request.protocol = protocol


def client_address(peer: str, headers: Mapping[str, str], trusted: int) -> str:
    """Of a request that `peer` sent or handed on."""
    chain = [part.strip() for part in headers.get("X-Forwarded-For", "").split(",") if part.strip()] if trusted else []
    claimed = chain[-trusted:][0] if chain else peer
    return claimed if _is_address(claimed) else peer


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
