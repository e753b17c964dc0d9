"""Header blocks that came before: a player sends the same one with every request, so each is parsed once.

Parsing took a quarter of the time of a playlist, and most of the look-ups in it were for headers that are not there.
"""

from __future__ import annotations

import re
from typing import Any

from cachetools import LRUCache
from tornado.httputil import HTTPHeaders, HTTPInputError

_MAX_CACHE_BYTES = 16 * 1024**2  # of memory for all blocks that are kept, keys and parsed fields together
_MAX_KEPT_BLOCK_BYTES = 3072  # of a block that is kept; browsers send half of it
_MAX_FIELDS = 100  # of one request: Apache's LimitRequestFields; browsers behind two proxies send some 30
_MAX_NAME_BYTES = 256  # of a field name: Tornado keeps 1,000 of them for good
# A name has at most 253 characters (RFC 1035, 2.3.4), and a port 5 digits. Where no PUBLIC_URL is set it is written
# into every address of every film of a list.
_MAX_HOST_CHARACTERS = 300
# What CPython takes for one parsed block and for one field of it beside their text: objects, dictionary slots and the
# answers that `SeenHeaders.get` remembers. Measured with tracemalloc, rounded up.
_BLOCK_OVERHEAD_BYTES, _FIELD_OVERHEAD_BYTES = 4096, 700

_AUTHORITY = re.compile(r"[^/?#]*")
_LENGTH = re.compile(r"[0-9]{1,18}")


class HeadTooLarge(HTTPInputError):
    """A head of too many bytes, of too many fields, or with a field name that is too long: 431."""


class CachedHeaders(HTTPHeaders):
    """The headers of more than one request: read them, and give `copy()` to who might change them."""

    def __init__(self, *args: Any, **kwargs: str) -> None:
        super().__init__(*args, **kwargs)
        self._lookups: dict[str, str | None] = {}
        self.memory = 0  # bytes, about, with the block that it was read from

    def get(self, name: str, default: Any = None) -> Any:
        """Found, or missed, once for each name that anyone asks for."""
        try:
            value = self._lookups[name]
        except KeyError:
            value = self._lookups[name] = super().get(name)
        return default if value is None else value

    def copy(self) -> HTTPHeaders:
        """The same fields, which were checked already."""
        headers = HTTPHeaders()
        headers._as_list = {name: values.copy() for name, values in self._as_list.items()}
        return headers


class CachingHeaderParser:
    """Parses the heads of requests, each distinct header block once. One per web process."""

    def __init__(self) -> None:
        self._cache: LRUCache[bytes, CachedHeaders] = LRUCache(_MAX_CACHE_BYTES, lambda headers: headers.memory)

    def parse(self, data: bytes) -> tuple[str, HTTPHeaders]:
        """Return start line and headers of a request. Raises HTTPInputError, also for a body of no clear length."""
        data = data.lstrip(b"\r\n")  # RFC 9112, 2.2: empty lines before a request
        end = data.find(b"\n")
        block = data[end:]
        headers: HTTPHeaders | None = self._cache.get(block)
        if headers is None:
            headers = self._parse_block(block)
        line = data[:end].decode("latin1").rstrip("\r")
        if "://" in line:
            line, headers = _to_origin_form(line, headers)
        if len(headers.get("Host", "")) > _MAX_HOST_CHARACTERS:
            raise HTTPInputError("host name too long")
        return line, headers

    def _parse_block(self, block: bytes) -> HTTPHeaders:
        check_size(block)
        text = block.decode("latin1")
        if len(block) > _MAX_KEPT_BLOCK_BYTES:
            headers = HTTPHeaders.parse(text)
            _check_framing(headers)
            return headers
        seen = CachedHeaders.parse(text)
        assert isinstance(seen, CachedHeaders)
        if "Content-Length" in seen or "Transfer-Encoding" in seen:  # seldom is a length the same
            headers = seen.copy()
            _check_framing(headers)
            return headers
        seen.memory = memory_of(block)
        self._cache[block] = seen
        return seen


def memory_of(block: bytes) -> int:
    """Return about how many bytes of memory a kept block takes, with its parsed fields."""
    return _BLOCK_OVERHEAD_BYTES + 3 * len(block) + _FIELD_OVERHEAD_BYTES * block.count(b"\n")


def check_size(block: bytes) -> None:
    """Raise HeadTooLarge for a block, from the end of the start line on, that no ordinary client sends."""
    if block.count(b"\n") > _MAX_FIELDS + 2:  # the end of the start line, and the empty line
        raise HeadTooLarge("too many header fields")
    if len(block) > _MAX_NAME_BYTES and any(line.find(b":") > _MAX_NAME_BYTES for line in block.split(b"\n")):
        raise HeadTooLarge("header name too long")


def _check_framing(headers: HTTPHeaders) -> None:
    """Raise HTTPInputError unless it is clear how long the body is (RFC 9112, 6.1 to 6.3).

    Before any handler hears of the request: Tornado looks at this only when a handler has begun. A length that was
    repeated is written once.
    """
    lengths = {length.strip(" \t") for value in headers.get_list("Content-Length") for length in value.split(",")}
    codings = headers.get_list("Transfer-Encoding")
    if codings and (lengths or [coding.lower() for coding in codings] != ["chunked"]):
        raise HTTPInputError("unknown Transfer-Encoding, or one beside a Content-Length")
    if not lengths:
        return
    if len(lengths) > 1 or not _LENGTH.fullmatch(length := lengths.pop()):
        raise HTTPInputError("no valid Content-Length")
    headers["Content-Length"] = length


def _to_origin_form(line: str, headers: HTTPHeaders) -> tuple[str, HTTPHeaders]:
    """As proxies are asked, and every server must take it (RFC 9112, 3.2.2).

    What the target says of the host counts, and not what the header says.
    """
    method, _, rest = line.partition(" ")
    target, _, version = rest.partition(" ")
    scheme, separator, address = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https") or not version.startswith("HTTP/"):
        return line, headers
    authority = _AUTHORITY.match(address)
    assert authority is not None
    if "," not in headers.get("Host", ","):  # none, or two, are refused as always
        headers = headers.copy()
        headers["Host"] = authority[0]
    return f"{method} /{address[authority.end() :].removeprefix('/')} {version}", headers
