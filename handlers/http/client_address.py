"""Where a request comes from, behind any number of reverse proxies."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from tornado.httputil import HTTPServerRequest

_ADDRESS_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([\d.]+):\d+")  # as some proxies write it


def apply_forwarded_headers(request: HTTPServerRequest, trusted_proxies: int) -> None:
    """Take address and protocol from what the last `trusted` proxies wrote; what stands before it, anybody wrote."""
    if not trusted_proxies:
        return
    request.remote_ip = client_address(request.remote_ip or "", request.headers, trusted_proxies)
    protocol = request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower()
    if protocol in ("http", "https"):
        request.protocol = protocol


def client_address(peer: str, headers: Mapping[str, str], trusted_proxies: int) -> str:
    """Of a request that `peer` sent or handed on."""
    chain = (
        [part.strip() for part in headers.get("X-Forwarded-For", "").split(",") if part.strip()]
        if trusted_proxies
        else []
    )
    claimed = chain[-trusted_proxies:][0] if chain else ""
    return _parse_address(claimed) or peer


def _parse_address(text: str) -> str:
    """Of `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:1234`; nothing of the rest."""
    found = _ADDRESS_WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((found[1] or found[2]) if found else text)
    except ValueError:
        return ""
    return str(ipaddress.ip_address(address.packed))  # without the zone of an IPv6 one, which may be any text
