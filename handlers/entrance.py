"""Where requests come in: who answers each of them, and how long a connection may ask nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine

from handlers.body_limit import LimitedApplication
from handlers.media.lane import MediaLane
from handlers.seen_headers import HeaderParser

_PATIENCE = 75.0  # seconds for the headers of the next request to be complete; nginx's keepalive_timeout
_LOOK = 5.0  # seconds between two looks for connections that are out of patience


class Entrance(LimitedApplication):
    """A Tornado application with a fast lane for published files."""

    def __init__(self, handlers: Any, lane: MediaLane, **settings: Any) -> None:
        super().__init__(handlers, **settings)
        self.lane = lane
        self._idle = IdleConnections()
        self._parser = HeaderParser()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Who answers is decided when the headers are there."""
        self._idle.enter(server_conn, request_conn)
        request_conn._parse_headers = self._parser.parse  # type: ignore[attr-defined]  # Tornado has no other way in
        return _Fork(self, self._idle, server_conn, request_conn)

    def ordinary(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Tornado's way through the routes."""
        return super().start_request(server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """A connection is closed."""
        self._idle.leave(server_conn)


class IdleConnections:
    """Connections between two requests, those that wait longest first.

    Tornado would set and clear a timer for every request; that took an eighth of the time of a playlist.
    """

    def __init__(self) -> None:
        self._waiting: dict[object, tuple[float, HTTPConnection]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, server_conn: object, request_conn: HTTPConnection) -> None:
        """A request may come now."""
        loop = asyncio.get_running_loop()
        self._waiting[server_conn] = loop.time(), request_conn
        if self._timer is None:
            self._timer = loop.call_later(_LOOK, self._look)

    def leave(self, server_conn: object) -> None:
        """It came, or the connection is closed."""
        self._waiting.pop(server_conn, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        tired = [each for each, (since, _) in self._waiting.items() if loop.time() - since > _PATIENCE]
        for server_conn in tired:
            _, request_conn = self._waiting.pop(server_conn)
            if isinstance(request_conn, HTTP1Connection):
                request_conn.close()
        self._timer = loop.call_later(_LOOK, self._look) if self._waiting else None


class _Fork(HTTPMessageDelegate):
    """Waits for the headers of a request, then hands everything to the lane or to the application."""

    _delegate: HTTPMessageDelegate | None = None

    def __init__(
        self, entrance: Entrance, idle: IdleConnections, server_conn: object, request_conn: HTTPConnection
    ) -> None:
        self._entrance = entrance
        self._idle = idle
        self._connections = server_conn, request_conn

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Decide."""
        server_conn, request_conn = self._connections
        self._idle.leave(server_conn)
        if isinstance(start_line, RequestStartLine) and isinstance(request_conn, HTTP1Connection):
            self._delegate = self._entrance.lane.take(request_conn, start_line, headers)
            if self._delegate is not None:
                return None
        self._delegate = self._entrance.ordinary(server_conn, request_conn)
        return self._delegate.headers_received(start_line, headers.copy())

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece of the body."""
        return self._delegate.data_received(chunk) if self._delegate else None

    def finish(self) -> None:
        """The request is complete."""
        if self._delegate:
            self._delegate.finish()

    def on_connection_close(self) -> None:
        """Before it was complete."""
        if self._delegate:
            self._delegate.on_connection_close()
