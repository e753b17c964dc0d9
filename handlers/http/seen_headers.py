"""Header blocks that came before: a player sends the same one with every request, so each is parsed once.

Parsing took a quarter of the time of a playlist, and most of the look-ups in it were for headers that are not there.
"""

from __future__ import annotations

import re
from typing import Any

from tornado.httputil import HTTPHeaders

_MOST = 4096  # blocks that are kept
_LONGEST = 3072  # bytes of a block that is kept; browsers send half of it

# As proxies are asked, and every server must take it (RFC 9112, 3.2.2).
_ABSOLUTE = re.compile(r"(\S+ )https?://([^/?# ]*)(/?)(\S* HTTP/.*)", re.IGNORECASE)


class SeenHeaders(HTTPHeaders):
    """The headers of more than one request: read them, and give `copy()` to who might change them."""

    def __init__(self, *args: Any, **kwargs: str) -> None:
        super().__init__(*args, **kwargs)
        self._looked_up: dict[str, str | None] = {}

    def get(self, name: str, default: Any = None) -> Any:
        """Found, or missed, once for each name that anyone asks for."""
        try:
            value = self._looked_up[name]
        except KeyError:
            value = self._looked_up[name] = super().get(name)
        return default if value is None else value

    def copy(self) -> HTTPHeaders:
        """The same fields, which were checked already."""
        headers = HTTPHeaders()
        headers._as_list = {name: values.copy() for name, values in self._as_list.items()}
        return headers


class HeaderParser:
    """One per web process."""

    def __init__(self) -> None:
        self._seen: dict[bytes, SeenHeaders] = {}

    def parse(self, data: bytes) -> tuple[str, HTTPHeaders]:
        """Start line and headers of a request. Raises HTTPInputError."""
        data = data.lstrip(b"\r\n")  # RFC 9112, 2.2: empty lines before a request
        end = data.find(b"\n")
        block = data[end:]
        headers: HTTPHeaders | None = self._seen.get(block)
        if headers is None:
            headers = self._parsed(block)
        line = data[:end].decode("latin1").rstrip("\r")
        return _in_origin_form(line, headers) if "://" in line else (line, headers)

    def _parsed(self, block: bytes) -> HTTPHeaders:
        text = block.decode("latin1")
        if len(block) > _LONGEST:
            return HTTPHeaders.parse(text)
        headers = SeenHeaders.parse(text)
        if "Content-Length" in headers:  # Tornado may correct it, and seldom is it the same
            return headers.copy()
        assert isinstance(headers, SeenHeaders)
        self._seen[block] = headers
        if len(self._seen) > _MOST:
            del self._seen[next(iter(self._seen))]
        return headers


def _in_origin_form(line: str, headers: HTTPHeaders) -> tuple[str, HTTPHeaders]:
    """What the target says of the host counts, and not what the header says."""
    found = _ABSOLUTE.fullmatch(line)
    if found is None:
        return line, headers
    if "," not in headers.get("Host", ","):  # none, or two, are refused as always
        headers = headers.copy()
        headers["Host"] = found[2]
    return f"{found[1]}/{found[4]}", headers
