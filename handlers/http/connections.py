"""Idle and busy connections of a web process, and their timeouts.

Clients that open connections without a request, send a body byte by byte, or do not read their response must not use
up what others need. Transfers by sendfile have a timeout of their own, see `handlers.media.sendfile`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from math import inf

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPConnection

from handlers.http.abandon import abandon
from handlers.http.timeouts import WRITE_TIMEOUT_S
from handlers.tornado_internals.connections import disconnect_after_response
from handlers.tornado_internals.streams import written_bytes

_IDLE_TIMEOUT_S = 75.0  # for the headers of the next request to be complete; nginx's keepalive_timeout
_CHECK_INTERVAL_S = 5.0  # between two checks of all timeouts
_MIN_BODY_BYTES_PER_TIMEOUT = 30_000  # of a body in `_IDLE_TIMEOUT_S`; Apache's mod_reqtimeout asks for 500 per second
_RESPONSE_TIMEOUT_S = 120.0  # for a request to be answered, or its answer to continue; handlers may set another
_CONTENDED_BODY_GRACE_S = 5.0  # before a slow body gives way to a new connection
_FIRST_REQUEST_GRACE_S = 0.3  # for the first request of a new connection when the process stops
_DRAIN_POLL_INTERVAL_S = 0.02


@dataclass(frozen=True, slots=True)
class _IdleConnection:
    """A connection that waits for a request, by the loop's clock."""

    since: float
    request_conn: HTTPConnection
    is_new: bool  # there was no request before


@dataclass(slots=True)
class _IncomingBody:
    """A body that is being received: `received_bytes` since `since`, by the loop's clock."""

    request_conn: HTTPConnection
    since: float
    received_bytes: int = 0

    def is_slow(self, now: float) -> bool:
        """Return whether the body would be closed if it continued at this rate."""
        seconds = now - self.since
        return (
            seconds > _CONTENDED_BODY_GRACE_S
            and self.received_bytes < _MIN_BODY_BYTES_PER_TIMEOUT * seconds / _IDLE_TIMEOUT_S
        )


@dataclass(frozen=True, slots=True)
class _WriteProgress:
    """How many bytes a client had taken at the last check, and since when it has been that many."""

    written_bytes: int
    since: float


class Connections:
    """All connections of a web process. Idle ones are ordered: the longest-idle connection comes first.

    One timer checks them all. Tornado would set and clear a timer for every request, which took an eighth of the time
    of a playlist.
    """

    def __init__(self) -> None:
        self._idle: dict[object, _IdleConnection] = {}
        self._active: dict[object, HTTPConnection] = {}
        self._bodies: dict[object, _IncomingBody] = {}
        self._write_progress: dict[HTTP1Connection, _WriteProgress] = {}  # of those that have bytes to write
        self._response_progress: dict[HTTP1Connection, _WriteProgress] = {}  # of those that have none
        self._response_timeouts: dict[HTTPConnection, float] = {}  # seconds, where it is not `_RESPONSE_TIMEOUT_S`
        self._timer: asyncio.TimerHandle | None = None
        self._is_draining = False

    def on_idle(self, server_conn: object, request_conn: HTTPConnection) -> None:
        """Record that a connection is new, or that its last request has been answered."""
        loop = asyncio.get_running_loop()
        answered = self._active.pop(server_conn, None)
        is_new = answered is None
        if answered is not None:
            self._response_timeouts.pop(answered, None)
        self._idle[server_conn] = _IdleConnection(loop.time(), request_conn, is_new)
        if self._timer is None:
            self._timer = loop.call_later(_CHECK_INTERVAL_S, self._close_expired)

    def on_headers(self, server_conn: object, request_conn: HTTPConnection, has_body: bool) -> None:
        """Record that the headers of a request have been received."""
        self._idle.pop(server_conn, None)
        self._active[server_conn] = request_conn
        if has_body:
            self._bodies[server_conn] = _IncomingBody(request_conn, asyncio.get_running_loop().time())
        if self._is_draining:
            disconnect_after_response(request_conn)

    def set_response_timeout(self, request_conn: HTTPConnection, timeout_s: float) -> None:
        """Set how long the current request may take without any progress of its response; infinite for no limit."""
        self._response_timeouts[request_conn] = timeout_s

    def on_body_data(self, server_conn: object, size: int) -> None:
        """Record that `size` bytes of a body have been received."""
        if body := self._bodies.get(server_conn):
            body.received_bytes += size

    async def track_consumer(self, server_conn: object, consumer: Awaitable[object]) -> None:
        """Wait until a piece of a body has been consumed. That time does not count against the client."""
        body = self._bodies.get(server_conn)
        if body:
            body.since = inf
        await consumer
        if body:
            body.since, body.received_bytes = asyncio.get_running_loop().time(), 0

    def on_request_complete(self, server_conn: object) -> None:
        """Record that the body of a request is complete."""
        self._bodies.pop(server_conn, None)

    def on_close(self, server_conn: object) -> None:
        """Forget a connection that has been closed."""
        if (request_conn := self._active.pop(server_conn, None)) is not None:
            self._response_timeouts.pop(request_conn, None)
        self._idle.pop(server_conn, None)
        self._bodies.pop(server_conn, None)

    def evict_one(self) -> bool:
        """Close the longest-idle connection, or else the oldest one with a slow body. Return whether one was closed."""
        for server_conn in self._idle:
            self._close_idle([server_conn])
            return True
        now = asyncio.get_running_loop().time()
        for server_conn, body in self._bodies.items():
            if body.is_slow(now):
                del self._bodies[server_conn]
                _close(body.request_conn)
                return True
        return False

    async def drain(self, timeout_s: float) -> None:
        """Close every connection after its response. Wait for that, but no longer than `timeout_s`."""
        self._is_draining = True
        for request_conn in self._active.values():
            disconnect_after_response(request_conn)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while (self._active or self._idle) and loop.time() < deadline:
            latest_start = loop.time() - _FIRST_REQUEST_GRACE_S
            self._close_idle(
                [
                    server_conn
                    for server_conn, connection in self._idle.items()
                    if not connection.is_new or connection.since < latest_start
                ]
            )
            await asyncio.sleep(_DRAIN_POLL_INTERVAL_S)

    def _close_expired(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._close_idle_since(now - _IDLE_TIMEOUT_S)
        self._close_slow_bodies(now)
        self._close_stalled_writers(now)
        self._abandon_unanswered(now)
        self._timer = loop.call_later(_CHECK_INTERVAL_S, self._close_expired) if self._idle or self._active else None

    def _close_idle_since(self, deadline: float) -> None:
        self._close_idle([server_conn for server_conn, connection in self._idle.items() if connection.since < deadline])

    def _close_slow_bodies(self, now: float) -> None:
        for body in [body for body in self._bodies.values() if body.since < now - _IDLE_TIMEOUT_S]:
            if body.received_bytes < _MIN_BODY_BYTES_PER_TIMEOUT:
                _close(body.request_conn)
            body.since, body.received_bytes = now, 0

    def _close_stalled_writers(self, now: float) -> None:
        """Close connections whose clients have taken nothing of their response for too long."""
        previous, self._write_progress = self._write_progress, {}
        for request_conn in list(self._active.values()):
            if not isinstance(request_conn, HTTP1Connection) or not request_conn.stream.writing():
                continue
            progress = _update_progress(previous.get(request_conn), request_conn, now)
            if progress is previous.get(request_conn) and now - progress.since > WRITE_TIMEOUT_S:
                _close(request_conn)
            else:
                self._write_progress[request_conn] = progress

    def _abandon_unanswered(self, now: float) -> None:
        """Abandon requests without a response for too long, so that a broken handler blocks no client forever."""
        previous, self._response_progress = self._response_progress, {}
        receiving = {body.request_conn for body in self._bodies.values()}
        for request_conn in list(self._active.values()):
            if not isinstance(request_conn, HTTP1Connection) or request_conn in receiving:
                continue
            timeout_s = self._response_timeouts.get(request_conn, _RESPONSE_TIMEOUT_S)
            if timeout_s == inf or request_conn.stream.writing():
                continue
            progress = _update_progress(previous.get(request_conn), request_conn, now)
            if progress is previous.get(request_conn) and now - progress.since > timeout_s:
                abandon(request_conn, f"no answer in {timeout_s:g} s")
            else:
                self._response_progress[request_conn] = progress

    def _close_idle(self, server_conns: list[object]) -> None:
        for server_conn in server_conns:
            _close(self._idle.pop(server_conn).request_conn)


def _update_progress(previous: _WriteProgress | None, request_conn: HTTP1Connection, now: float) -> _WriteProgress:
    """Return the previous progress if nothing has been written since, or else a new one that begins now."""
    written = written_bytes(request_conn.stream)
    return previous if previous and previous.written_bytes == written else _WriteProgress(written, now)


def _close(request_conn: HTTPConnection) -> None:
    if isinstance(request_conn, HTTP1Connection):
        request_conn.close()
