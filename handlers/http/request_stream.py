"""The stream of a connection: reads the heads of requests, and answers what is not HTTP/1.1 as JSON."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http.client import responses
from math import inf
from socket import socket

from tornado.httputil import HTTPInputError
from tornado.iostream import StreamClosedError

from handlers.http.access_log import write_access_line
from handlers.http.client_address import client_address
from handlers.http.header_parser import MAX_FIELDS, HeadTooLarge
from handlers.http.lingering import Lingering, LingeringStream
from handlers.http.response_headers import common_headers, new_request_id
from handlers.http.timeouts import LINGER_TIMEOUT_S
from handlers.tornado_internals.bad_requests import BAD_REQUEST_RESPONSE, is_body_too_large
from videoflix.settings import Settings

_MAX_HEAD_BYTES = 64 * 1024  # of a request line and its headers
_MAX_HEAD_LINES = MAX_FIELDS + 2  # the start line, the fields, and an empty line before them
# The head of a request, line by line, which takes a fifth of the time of Tornado's pattern; or as many bytes as make it
# too large. Tornado searches again for each packet that arrives: a head with more lines than `CachingHeaderParser`
# accepts ends the search, or each packet of a head of tiny lines would cost milliseconds. There is no possessive
# group, which matches nothing before Python 3.11.5 (CPython issue 106052): Debian 12 has 3.11.2.
_HEAD_PATTERN = rb"\A(?:.*+\n){1,%d}?\r?\n|\A(?:.*+\n){%d}|\A(?s:.{%d})" % (
    _MAX_HEAD_LINES,
    _MAX_HEAD_LINES + 1,
    _MAX_HEAD_BYTES + 1,
)
_CHUNK_SIZE_PATTERN = rb"\A(?s:.{0,%d}?)\r\n|\A(?s:.{%d})"  # a line with the size of a chunk, or too many bytes
# A chunk costs as much time as a kilobyte of a body. A body may have this many, and beyond that only chunks of this
# length on average: half a megabyte in chunks of one byte would keep the loop busy for seconds.
_MAX_TINY_CHUNKS = 256
_MIN_AVERAGE_CHUNK_BYTES = 64
_FIELD_NAME = re.compile(r"[!-9;-~]+")
_INTERIM_STATUS_PREFIX = b"HTTP/1.1 100"

_ERROR_DETAILS = {
    400: "Bad request.",
    413: "The body is too large.",
    431: "The headers are too large.",
}


class RequestStream(LingeringStream):
    """The stream of a connection. It answers malformed requests itself, because they reach no handler."""

    def __init__(
        self,
        connection: socket,
        lingering: Lingering,
        on_closed: Callable[[], None],
        settings: Settings,
        peer: str,
        read_chunk_size: int | None,
    ) -> None:
        super().__init__(connection, lingering, on_closed, read_chunk_size=read_chunk_size)
        self._settings = settings
        self._peer = peer
        self._head = b""
        self._has_responded = False
        self._chunk_count = self._chunk_bytes = 0  # of the body that is being received
        self._is_chunk_new = False

    async def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> bytes:
        """Return the head of the next request, the only thing for which Tornado calls this. Raises HeadTooLarge."""
        if self.closed():  # Tornado would go on with what was read before, and nobody would get the responses
            raise StreamClosedError(real_error=self.error)
        self._has_responded, self._head = False, b""
        self._chunk_count = self._chunk_bytes = 0
        self._head = head = await super().read_until_regex(_HEAD_PATTERN)
        if len(head) > _MAX_HEAD_BYTES or not head.endswith((b"\n\n", b"\n\r\n")):
            raise HeadTooLarge("headers too large")
        return head

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Return the line with the size of the next chunk. If it is too long, return a part that Tornado rejects.

        Raises HTTPInputError for a body of too many tiny chunks, and StreamClosedError.
        """
        assert max_bytes
        if self.closed():
            raise StreamClosedError(real_error=self.error)
        self._chunk_count += 1
        if self._chunk_count > _MAX_TINY_CHUNKS and self._chunk_bytes < self._chunk_count * _MIN_AVERAGE_CHUNK_BYTES:
            raise HTTPInputError("too many tiny chunks")
        self._is_chunk_new = True
        return super().read_until_regex(_CHUNK_SIZE_PATTERN % (max_bytes - 2, max_bytes + 1))

    def read_bytes(self, num_bytes: int, partial: bool = False) -> Awaitable[bytes]:
        """Read a part of a body. For a new chunk, Tornado first asks for as much of it as it reads at once."""
        if self._is_chunk_new:
            self._is_chunk_new = False
            self._chunk_bytes += num_bytes
        return super().read_bytes(num_bytes, partial)

    def write(self, data: bytes | memoryview) -> Awaitable[None]:  # type: ignore[override]
        """Write bytes, but replace Tornado's response to a malformed request by JSON."""
        if data == BAD_REQUEST_RESPONSE:
            return self._respond_with_error(sys.exc_info()[1])
        self._has_responded = self._has_responded or data[:12] != _INTERIM_STATUS_PREFIX
        return super().write(data)

    async def _respond_with_error(self, error: BaseException | None) -> None:
        """Respond unless there has been a response already. Tornado closes the connection then, which lingers."""
        if self.closed():
            return
        self.unread = inf
        if not self._has_responded:
            with suppress(StreamClosedError, OSError, TimeoutError):
                async with asyncio.timeout(LINGER_TIMEOUT_S):
                    await super().write(self._error_response(_error_status(error)))

    def _error_response(self, status: int) -> bytes:
        fields = _parse_unique_fields(self._head)
        request_id = new_request_id()
        client = client_address(self._peer, fields, self._settings.trusted_proxies)
        write_access_line("-", "-", status, 0, client, request_id)
        body = json.dumps({"detail": _ERROR_DETAILS[status]}, separators=(",", ":")).encode()
        headers = [
            *common_headers(fields.get("Origin"), self._settings.cors_origins),
            ("X-Request-Id", request_id),
            ("Date", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        lines = [f"HTTP/1.1 {status} {responses[status]}", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin1") + (b"" if self._head.startswith(b"HEAD ") else body)


def _error_status(error: BaseException | None) -> int:
    if isinstance(error, HeadTooLarge):
        return 431
    return 413 if is_body_too_large(error) else 400


def _parse_unique_fields(head: bytes) -> Mapping[str, str]:
    """Return the readable header fields that occur once. Of a repeated field it is unclear which one counts."""
    fields: dict[str, str] = {}
    repeated = set()
    for line in head.decode("latin1").split("\n"):
        name, colon, value = line.partition(":")
        if colon and _FIELD_NAME.fullmatch(name):
            repeated |= {name.title()} & fields.keys()
            fields[name.title()] = value.strip(" \t\r")
    return {name: value for name, value in fields.items() if name not in repeated}
