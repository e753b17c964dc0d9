"""Where a request comes from, behind any number of reverse proxies."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from tornado.httputil import HTTPServerRequest

_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([\d.]+):\d+")  # as some proxies write it


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
    claimed = chain[-trusted:][0] if chain else ""
    return _address(claimed) or peer


def _address(text: str) -> str:
    """Of `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:1234`; nothing of the rest."""
    found = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((found[1] or found[2]) if found else text)
    except ValueError:
        return ""
    return str(ipaddress.ip_address(address.packed))  # without the zone of an IPv6 one, which may be any text
