"""The HTTP server: what is no request, or one that is too large, is answered as JSON like everything else."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http.client import responses
from math import inf
from socket import socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError

from handlers.application import Application
from handlers.http.access_log import write_access_line
from handlers.http.client_address import client_address
from handlers.http.client_count import ClientCount
from handlers.http.lingering import Lingering, LingeringStream
from handlers.http.response_headers import common_headers, new_request_id
from handlers.tornado_internals.connections import max_connections
from handlers.tornado_internals.header_cache import HeadTooLarge
from videoflix.settings import Settings

_log = logging.getLogger(__name__)

_MAX_HEAD_BYTES = 64 * 1024  # bytes of a request line and its headers
_TAKING_S = 30.0  # seconds in which a refused client takes its answer
_WARNING_INTERVAL_S = 60.0  # seconds between two lines in the log

_TORNADO_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n\r\n"  # what Tornado says to each HTTPInputError
_INTERIM_STATUS_PREFIX = b"HTTP/1.1 100"
# The head of a request, line by line, which takes a fifth of the time of Tornado's pattern; or as many bytes as make it
# too large. The same for a line that says how long a chunk is. Without a possessive group, which matches nothing before
# Python 3.11.5 (CPython issue 106052): Debian 12 has 3.11.2.
# Tornado looks again with each packet that comes: a head of more lines than `HeaderParser` takes ends the search, or
# each packet of a head of tiny lines would cost milliseconds.
_MOST_LINES = 102  # the start line, 100 fields, an empty line before them
_HEAD_PATTERN = rb"\A(?:.*+\n){1,%d}?\r?\n|\A(?:.*+\n){%d}|\A(?s:.{%d})" % (
    _MOST_LINES,
    _MOST_LINES + 1,
    _MAX_HEAD_BYTES + 1,
)
_CHUNK_SIZE_PATTERN = rb"\A(?s:.{0,%d}?)\r\n|\A(?s:.{%d})"
_FIELD_NAME = re.compile(r"[!-9;-~]+")

_TOO_LARGE_MESSAGES = ("Content-Length too long", "chunked body too large")
_ERROR_DETAILS = {
    400: "Bad request.",
    413: "The body is too large.",
    431: "The headers are too large.",
}


class Server(HTTPServer):
    """Serves an `Entrance`, and tells it which connections are closed."""

    def initialize(self, application: Application, **kwargs: Any) -> None:  # type: ignore[override]
        """Tornado calls this instead of a constructor."""
        super().initialize(application, **kwargs)
        self._application = application
        self._max_connections = max_connections()
        self._lingering = Lingering()
        self._clients = ClientCount(application.services.settings)
        self._warned_at = float("-inf")

    def on_close(self, server_conn: object) -> None:
        """Called by the connection."""
        super().on_close(server_conn)
        self._application.on_close(server_conn)

    async def close_all_connections(self) -> None:
        """Also those whose clients still send."""
        await super().close_all_connections()
        self._lingering.close()

    def _handle_connection(self, connection: socket, address: Any) -> None:
        """Of a new client. When there is no room, the one makes it that is refused already, or silent longest."""
        peer = str(address[0]) if address else ""  # a Unix socket has none
        if not self._clients.admits(peer):
            self._warn_limit_reached("too many connections of one client client=%s most=%d", peer, self._clients.most)
            connection.close()
            return
        if len(self._connections) + len(self._lingering) >= self._max_connections:
            self._warn_limit_reached("too many connections most=%d", self._max_connections)
            if not self._lingering.make_room() and not self._application.connections.evict_one():
                connection.close()
                return
        stream = _ConnectionStream(
            connection,
            self._lingering,
            self._clients.enter(peer),
            self._application.services.settings,
            peer,
            self.read_chunk_size,
        )
        self.handle_stream(stream, address)

    def _warn_limit_reached(self, message: str, *details: object) -> None:
        if time.monotonic() - self._warned_at > _WARNING_INTERVAL_S:
            self._warned_at = time.monotonic()
            _log.warning(message, *details)


class _ConnectionStream(LingeringStream):
    """A connection. What comes in and is no HTTP/1.1 is answered here, for no handler ever hears of it."""

    def __init__(
        self,
        connection: socket,
        lingering: Lingering,
        released: Callable[[], None],
        settings: Settings,
        peer: str,
        read_chunk_size: int | None,
    ) -> None:
        super().__init__(connection, lingering, released, read_chunk_size=read_chunk_size)
        self._settings = settings
        self._peer = peer
        self._head = b""
        self._has_responded = False

    async def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> bytes:
        """The head of the next request: Tornado reads nothing else with this. Raises HTTPInputError."""
        self._has_responded, self._head = False, b""
        self._head = head = await super().read_until_regex(_HEAD_PATTERN)
        if len(head) > _MAX_HEAD_BYTES or not head.endswith((b"\n\n", b"\n\r\n")):
            raise HeadTooLarge("headers too large")
        return head

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """How long the next chunk of a body is. Of a line that is too long, Tornado gets what it cannot take."""
        assert max_bytes
        return super().read_until_regex(_CHUNK_SIZE_PATTERN % (max_bytes - 2, max_bytes + 1))

    def write(self, data: bytes | memoryview) -> Awaitable[None]:  # type: ignore[override]
        """Tornado's answer to what is no HTTP becomes ours; everything else goes out as it is."""
        if data == _TORNADO_BAD_REQUEST:
            return self._respond_with_error(sys.exc_info()[1])
        self._has_responded = self._has_responded or data[:12] != _INTERIM_STATUS_PREFIX
        return super().write(data)

    async def _respond_with_error(self, error: BaseException | None) -> None:
        """Answer, unless there was an answer already; Tornado closes the connection then, which lingers."""
        if self.closed():
            return
        self.unread = inf
        if not self._has_responded:
            with suppress(StreamClosedError, OSError, TimeoutError):
                async with asyncio.timeout(_TAKING_S):
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
    return 413 if str(error) in _TOO_LARGE_MESSAGES else 400


def _parse_unique_fields(head: bytes) -> Mapping[str, str]:
    """Return those header fields that can be made out; of a repeated one none, for nobody knows which one counts."""
    found: dict[str, str] = {}
    repeated = set()
    for line in head.decode("latin1").split("\n"):
        name, colon, value = line.partition(":")
        if colon and _FIELD_NAME.fullmatch(name):
            repeated |= {name.title()} & found.keys()
            found[name.title()] = value.strip(" \t\r")
    return {name: value for name, value in found.items() if name not in repeated}
