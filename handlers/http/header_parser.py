"""The parser of header fields, with their limits, and a cache: a player sends the same block with every request.

Without the cache, parsing took a quarter of the time of a playlist, and most look-ups in it were for headers that are
not there.
"""

from __future__ import annotations

import re
from typing import Any

from cachetools import LRUCache
from tornado.httputil import HTTPHeaders, HTTPInputError

from handlers.tornado_internals.headers import copy_headers

_MAX_CACHE_BYTES = 16 * 1024**2  # of memory for all cached blocks, keys and parsed fields together
_MAX_CACHED_BLOCK_BYTES = 3072  # of a block that is cached; browsers send half of it
MAX_FIELDS = 100  # of one request: Apache's LimitRequestFields; browsers behind two proxies send some 30
_MAX_NAME_BYTES = 256  # of a field name: Tornado remembers 1,000 names forever
# A host name has at most 253 characters (RFC 1035, section 2.3.4), and a port 5 digits. Without the setting PUBLIC_URL
# the host is written into every URL of every video of a list.
_MAX_HOST_CHARACTERS = 300
# Memory that CPython takes for a parsed block and for each of its fields, in addition to their text: objects,
# dictionary slots and the look-ups that `CachedHeaders.get` remembers. Measured with tracemalloc, rounded up.
_BLOCK_OVERHEAD_BYTES, _FIELD_OVERHEAD_BYTES = 4096, 700

_AUTHORITY = re.compile(r"[^/?#]*")
_LENGTH = re.compile(r"[0-9]{1,18}")


class HeadTooLarge(HTTPInputError):
    """A head with too many bytes, too many fields, or a field name that is too long: 431."""


class CachedHeaders(HTTPHeaders):
    """Headers that several requests share: read them, and pass a `copy()` to code that might change them."""

    def __init__(self, *args: Any, **kwargs: str) -> None:
        super().__init__(*args, **kwargs)
        self._lookups: dict[str, str | None] = {}
        self.memory = 0  # estimated bytes, including the block that it was parsed from

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header's value. Each name is looked up once, whether it is there or not."""
        try:
            value = self._lookups[name]
        except KeyError:
            value = self._lookups[name] = super().get(name)
        return default if value is None else value

    def copy(self) -> HTTPHeaders:
        """Return the same fields, without validating them again."""
        return copy_headers(self)


class CachingHeaderParser:
    """Parses the heads of requests, each distinct header block once. One per web process."""

    def __init__(self) -> None:
        self._cache: LRUCache[bytes, CachedHeaders] = LRUCache(_MAX_CACHE_BYTES, lambda headers: headers.memory)

    def parse(self, data: bytes) -> tuple[str, HTTPHeaders]:
        """Return start line and headers of a request.

        Raises HTTPInputError, also if the length of the body is ambiguous, and HeadTooLarge.
        """
        data = data.lstrip(b"\r\n")  # empty lines before a request (RFC 9112, section 2.2)
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
        if len(block) > _MAX_CACHED_BLOCK_BYTES:
            headers = HTTPHeaders.parse(text)
            _normalize_framing(headers)
            return headers
        cached = CachedHeaders.parse(text)
        assert isinstance(cached, CachedHeaders)
        if "Content-Length" in cached or "Transfer-Encoding" in cached:  # lengths rarely recur
            headers = cached.copy()
            _normalize_framing(headers)
            return headers
        cached.memory = memory_of(block)
        self._cache[block] = cached
        return cached


def memory_of(block: bytes) -> int:
    """Return an estimate of the memory, in bytes, that a cached block takes with its parsed fields."""
    return _BLOCK_OVERHEAD_BYTES + 3 * len(block) + _FIELD_OVERHEAD_BYTES * block.count(b"\n")


def check_size(block: bytes) -> None:
    """Raise HeadTooLarge if a block, which begins at the end of the start line, exceeds what ordinary clients send."""
    if block.count(b"\n") > MAX_FIELDS + 2:  # the end of the start line, and the empty line
        raise HeadTooLarge("too many header fields")
    if len(block) > _MAX_NAME_BYTES and any(line.find(b":") > _MAX_NAME_BYTES for line in block.split(b"\n")):
        raise HeadTooLarge("header name too long")


def _normalize_framing(headers: HTTPHeaders) -> None:
    """Replace a repeated length by a single one. Raise HTTPInputError if the length of the body is ambiguous.

    The rules are RFC 9112, sections 6.1 to 6.3. Tornado checks them only after the handler has begun; this runs before
    any handler sees the request.
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
    """Return a request in absolute form, as sent to proxies, in origin form (RFC 9112, section 3.2.2).

    Every server must accept that form. The host in the target replaces the header `Host`.
    """
    method, _, rest = line.partition(" ")
    target, _, version = rest.partition(" ")
    scheme, separator, address = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https") or not version.startswith("HTTP/"):
        return line, headers
    authority = _AUTHORITY.match(address)
    assert authority is not None
    if "," not in headers.get("Host", ","):  # no host, or two, are refused as in any other request
        headers = headers.copy()
        headers["Host"] = authority[0]
    return f"{method} /{address[authority.end() :].removeprefix('/')} {version}", headers
