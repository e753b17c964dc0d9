"""The HTTP server: what is no request, or one that is too large, is answered as JSON like everything else."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from http.client import responses
from socket import SHUT_WR, socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPInputError
from tornado.iostream import IOStream, StreamClosedError

from handlers.entrance import Entrance
from handlers.http.access_log import write_line
from handlers.http.common import common_headers, new_request_id
from handlers.http.connections import most_at_once
from handlers.http.origin import client_address
from videoflix.settings import Settings

_log = logging.getLogger(__name__)

_LONGEST_HEAD = 64 * 1024  # bytes of a request line and its headers
_LINGER = 30.0  # seconds that a refused client may go on sending; nginx's lingering_time
_SILENCE = 5.0  # seconds without a byte after which it has stopped; nginx's lingering_timeout
_PIECE = 64 * 1024  # bytes
_COMPLAINT = 60.0  # seconds between two lines in the log

_BARE = b"HTTP/1.1 400 Bad Request\r\n\r\n"  # what Tornado says to each HTTPInputError
_INTERIM = b"HTTP/1.1 100"
# The head of a request, line by line, which takes a fifth of the time of Tornado's pattern; or as many bytes as make it
# too large. The same for a line that says how long a chunk is. Without a possessive group, which matches nothing before
# Python 3.11.5 (CPython issue 106052): Debian 12 has 3.11.2.
_HEAD = rb"\A(?:.*+\n)+?\r?\n|\A(?s:.{%d})" % (_LONGEST_HEAD + 1)
_LINE = rb"\A(?s:.{0,%d}?)\r\n|\A(?s:.{%d})"
_FIELD = re.compile(r"^([!-9;-~]+):[ \t]*(.*?)[ \t]*\r?$", re.MULTILINE)

_TOO_LARGE = ("Content-Length too long", "chunked body too large")
_DETAILS = {
    400: "Bad request.",
    413: "The body is too large.",
    431: "The headers are too large.",
}


class _HeadTooLarge(HTTPInputError):
    """More than `_LONGEST_HEAD` bytes, and no end of the headers."""


class Server(HTTPServer):
    """Serves an `Entrance`, and tells it which connections are closed."""

    def initialize(self, entrance: Entrance, **given: Any) -> None:  # type: ignore[override]
        """Tornado calls this instead of a constructor."""
        super().initialize(entrance, **given)
        self._entrance = entrance
        self._most = most_at_once()
        self._complained = float("-inf")

    def on_close(self, server_conn: object) -> None:
        """Called by the connection."""
        super().on_close(server_conn)
        self._entrance.on_close(server_conn)

    def _handle_connection(self, connection: socket, address: Any) -> None:
        """Of a new client. When there is no room, the one makes it that has been silent longest."""
        if len(self._connections) >= self._most:
            self._complain()
            if not self._entrance.connections.make_room():
                connection.close()
                return
        peer = str(address[0]) if address else ""  # a Unix socket has none
        stream = _Stream(connection, self._entrance.services.settings, peer, self.read_chunk_size)
        self.handle_stream(stream, address)

    def _complain(self) -> None:
        if time.monotonic() - self._complained > _COMPLAINT:
            self._complained = time.monotonic()
            _log.warning("too many connections most=%d", self._most)


class _Stream(IOStream):
    """A connection. What comes in and is no HTTP/1.1 is answered here, for no handler ever hears of it."""

    def __init__(self, connection: socket, settings: Settings, peer: str, read_chunk_size: int | None) -> None:
        super().__init__(connection, read_chunk_size=read_chunk_size)
        self._settings = settings
        self._peer = peer
        self._head = b""
        self._is_answered = False

    async def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> bytes:
        """The head of the next request: Tornado reads nothing else with this. Raises HTTPInputError."""
        self._is_answered, self._head = False, b""
        self._head = head = await super().read_until_regex(_HEAD)
        if len(head) > _LONGEST_HEAD:
            raise _HeadTooLarge("headers too large")
        return head

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """How long the next chunk of a body is. Of a line that is too long, Tornado gets what it cannot take."""
        assert max_bytes
        return super().read_until_regex(_LINE % (max_bytes - 2, max_bytes + 1))

    def write(self, data: bytes | memoryview) -> Awaitable[None]:  # type: ignore[override]
        """Tornado's answer to what is no HTTP becomes ours; everything else goes out as it is."""
        if data == _BARE:
            return self._refuse(sys.exc_info()[1])
        self._is_answered = self._is_answered or data[:12] != _INTERIM
        return super().write(data)

    async def _refuse(self, error: BaseException | None) -> None:
        """Answer, unless there was an answer already, and let the client finish: Tornado closes the connection then."""
        with suppress(StreamClosedError, OSError, TimeoutError):
            async with asyncio.timeout(_LINGER):
                await super().write(b"" if self._is_answered else self._refusal(_status_of(error)))
                self.socket.shutdown(SHUT_WR)
                while True:
                    async with asyncio.timeout(_SILENCE):
                        await self.read_bytes(_PIECE, partial=True)
                    await asyncio.sleep(0)  # who sends fast must not have the loop to themselves

    def _refusal(self, status: int) -> bytes:
        fields = _fields(self._head)
        request_id = new_request_id()
        client = client_address(self._peer, fields, self._settings.trusted_proxies)
        write_line("-", "-", status, 0, client, request_id)
        body = json.dumps({"detail": _DETAILS[status]}, separators=(",", ":")).encode()
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


def _status_of(error: BaseException | None) -> int:
    if isinstance(error, _HeadTooLarge):
        return 431
    return 413 if str(error) in _TOO_LARGE else 400


def _fields(head: bytes) -> Mapping[str, str]:
    """Those header fields that can be made out; of a repeated one none, for nobody knows which one counts."""
    found: dict[str, str] = {}
    repeated = set()
    for name, value in _FIELD.findall(head.decode("latin1")):
        repeated |= {name.title()} & found.keys()
        found[name.title()] = value
    return {name: value for name, value in found.items() if name not in repeated}
