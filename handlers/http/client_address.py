"""The address of the client behind any number of reverse proxies."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from tornado.httputil import HTTPServerRequest

_ADDRESS_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([\d.]+):\d+")  # as some proxies write it


def apply_forwarded_headers(request: HTTPServerRequest, trusted_proxies: int) -> None:
    """Set the request's address and protocol from what the trusted proxies wrote.

    Only the last `trusted_proxies` entries of X-Forwarded-For count: the client may have sent any before them.
    """
    if not trusted_proxies:
        return
    request.remote_ip = client_address(request.remote_ip or "", request.headers, trusted_proxies)
    protocol = request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower()
    if protocol in ("http", "https"):
        request.protocol = protocol


def client_address(peer: str, headers: Mapping[str, str], trusted_proxies: int) -> str:
    """Return the client's address for a request that was received from `peer`."""
    chain = (
        [part.strip() for part in headers.get("X-Forwarded-For", "").split(",") if part.strip()]
        if trusted_proxies
        else []
    )
    claimed = chain[-trusted_proxies:][0] if chain else ""
    return _parse_address(claimed) or peer


def _parse_address(text: str) -> str:
    """Return the IP address in `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:1234`.

    Anything else returns an empty string.
    """
    match = _ADDRESS_WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((match[1] or match[2]) if match else text)
    except ValueError:
        return ""
    return str(ipaddress.ip_address(address.packed))  # without the zone of an IPv6 address, which may be any text
