"""The connections of a web process: which wait for a request, for how long, and which are being answered.

Whoever opens connections and asks nothing, sends a byte of a body now and then, or takes no answer, must not use up
what others need. Films have limits of their own, see `handlers.media.transfer`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from math import inf

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPConnection
from tornado.iostream import StreamClosedError

from handlers.http.access_log import redact_path
from handlers.http.response_headers import common_headers, new_request_id

_log = logging.getLogger(__name__)

_IDLE_TIMEOUT_S = 75.0  # seconds for the headers of the next request to be complete; nginx's keepalive_timeout
_CHECK_INTERVAL_S = 5.0  # seconds between two looks for connections that are out of patience
_MIN_BODY_BYTES_PER_TIMEOUT = (
    30_000  # bytes of a body in `_PATIENCE` seconds; Apache's mod_reqtimeout asks for 500 in each second
)
_WRITE_TIMEOUT_S = 60.0  # seconds in which a client takes nothing of its answer; nginx's send_timeout
_UNANSWERED_S = 120.0  # in which a request is answered, or goes on being answered, unless its handler says otherwise
_CONTENDED_BODY_GRACE_S = 5.0  # seconds that a body has when others wait for a place
_MAX_CONNECTIONS = 10_000  # connections at once
_RESERVED_DESCRIPTORS = 100  # descriptors for everything else: databases, logs
_FIRST_REQUEST_GRACE_S = 0.3  # seconds that the first request of a new connection has when the process stops


@dataclass(frozen=True, slots=True)
class _IdleConnection:
    since: float
    request_conn: HTTPConnection
    is_new: bool  # nothing was asked yet


@dataclass(slots=True)
class _IncomingBody:
    """One that is coming in: `size` bytes since then, by the loop's clock."""

    request_conn: HTTPConnection
    since: float
    received_bytes: int = 0

    def is_slow(self, now: float) -> bool:
        """Whether it would be given up if it went on like this."""
        seconds = now - self.since
        return (
            seconds > _CONTENDED_BODY_GRACE_S
            and self.received_bytes < _MIN_BODY_BYTES_PER_TIMEOUT * seconds / _IDLE_TIMEOUT_S
        )


class Connections:
    """Those that wait longest come first.

    Tornado would set and clear a timer for every request; that took an eighth of the time of a playlist.
    """

    def __init__(self) -> None:
        self._idle: dict[object, _IdleConnection] = {}
        self._active: dict[object, HTTPConnection] = {}
        self._bodies: dict[object, _IncomingBody] = {}
        self._write_progress: dict[
            HTTP1Connection, tuple[int, float]
        ] = {}  # bytes that were taken, and since when no more
        self._quiet: dict[HTTP1Connection, tuple[int, float]] = {}  # the same, of those that write nothing
        self._allowed: dict[HTTPConnection, float] = {}  # seconds, where it is not `_UNANSWERED_S`
        self._timer: asyncio.TimerHandle | None = None
        self._is_draining = False

    def on_idle(self, server_conn: object, request_conn: HTTPConnection) -> None:
        """A request may come now."""
        loop = asyncio.get_running_loop()
        answered = self._active.pop(server_conn, None)
        is_new = answered is None
        if answered is not None:
            self._allowed.pop(answered, None)
        self._idle[server_conn] = _IdleConnection(loop.time(), request_conn, is_new)
        if self._timer is None:
            self._timer = loop.call_later(_CHECK_INTERVAL_S, self._close_expired)

    def on_headers(self, server_conn: object, request_conn: HTTPConnection, has_body: bool) -> None:
        """Its headers came."""
        self._idle.pop(server_conn, None)
        self._active[server_conn] = request_conn
        if has_body:
            self._bodies[server_conn] = _IncomingBody(request_conn, asyncio.get_running_loop().time())
        if self._is_draining:
            let_be_the_last(request_conn)

    def allow(self, request_conn: HTTPConnection, seconds: float) -> None:
        """Let this request take so long without a sign of an answer."""
        self._allowed[request_conn] = seconds

    def on_body_data(self, server_conn: object, size: int) -> None:
        """A piece of its body."""
        if body := self._bodies.get(server_conn):
            body.received_bytes += size

    async def track_consumer(self, server_conn: object, consumer: Awaitable[object]) -> None:
        """Have a piece dealt with; as long as that takes, it is not the client who is slow."""
        body = self._bodies.get(server_conn)
        if body:
            body.since = inf
        await consumer
        if body:
            body.since, body.received_bytes = asyncio.get_running_loop().time(), 0

    def on_request_complete(self, server_conn: object) -> None:
        """All of it came."""
        self._bodies.pop(server_conn, None)

    def on_close(self, server_conn: object) -> None:
        """Nothing more comes."""
        if (busy := self._active.pop(server_conn, None)) is not None:
            self._allowed.pop(busy, None)
        self._idle.pop(server_conn, None)
        self._bodies.pop(server_conn, None)

    def evict_one(self) -> bool:
        """Close the one that waits longest for a request, else the oldest whose body hardly comes; if there was one."""
        if longest := list(islice(self._idle, 1)):
            self._close_idle(longest)
            return True
        moment = asyncio.get_running_loop().time()
        for server_conn, body in self._bodies.items():
            if body.is_slow(moment):
                del self._bodies[server_conn]
                _close(body.request_conn)
                return True
        return False

    async def drain(self, timeout_s: float) -> None:
        """Answer what is being asked, if that takes no longer, and close every connection behind its answer."""
        self._is_draining = True
        for request_conn in self._active.values():
            let_be_the_last(request_conn)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while (self._active or self._idle) and loop.time() < deadline:
            self._close_idle(
                [
                    each
                    for each, it in self._idle.items()
                    if not it.is_new or loop.time() - it.since > _FIRST_REQUEST_GRACE_S
                ]
            )
            await asyncio.sleep(0.02)

    def _close_expired(self) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time() - _IDLE_TIMEOUT_S
        self._close_idle([each for each, it in self._idle.items() if it.since < since])
        for body in [each for each in self._bodies.values() if each.since < since]:
            if body.received_bytes < _MIN_BODY_BYTES_PER_TIMEOUT:
                _close(body.request_conn)
            body.since, body.received_bytes = loop.time(), 0
        self._close_stalled_writers(loop.time())
        self._look_for_unanswered(loop.time())
        self._timer = loop.call_later(_CHECK_INTERVAL_S, self._close_expired) if self._idle or self._active else None

    def _close_stalled_writers(self, now: float) -> None:
        before, self._write_progress = self._write_progress, {}
        for request_conn in list(self._active.values()):
            if isinstance(request_conn, HTTP1Connection) and request_conn.stream.writing():
                taken = request_conn.stream._total_write_done_index
                known, since = before.get(request_conn, (-1, now))
                if known == taken and now - since > _WRITE_TIMEOUT_S:
                    _close(request_conn)
                else:
                    self._write_progress[request_conn] = taken, since if known == taken else now

    def _look_for_unanswered(self, moment: float) -> None:
        """Whatever went wrong in a handler, nobody waits for ever, and nobody keeps a place for ever."""
        before, self._quiet = self._quiet, {}
        receiving = {body.request_conn for body in self._bodies.values()}
        for request_conn in list(self._active.values()):
            if not isinstance(request_conn, HTTP1Connection) or request_conn in receiving:
                continue
            allowed = self._allowed.get(request_conn, _UNANSWERED_S)
            if allowed == inf or request_conn.stream.writing():
                continue
            known, since = before.get(request_conn, (-1, moment))
            taken = request_conn.stream._total_write_done_index
            if known != taken:
                since = moment
            if known == taken and moment - since > allowed:
                abandon(request_conn, f"no answer in {allowed:g} s")
            else:
                self._quiet[request_conn] = taken, since

    def _close_idle(self, server_conns: list[object]) -> None:
        for server_conn in server_conns:
            _close(self._idle.pop(server_conn).request_conn)


def max_connections() -> int:
    """So many connections that none of them lacks the three descriptors that a viewer takes."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(_MAX_CONNECTIONS, (descriptors - _RESERVED_DESCRIPTORS) // 3))


def abandon(request_conn: HTTPConnection, reason: str, request_id: str = "") -> None:
    """Close a connection whose request gets no answer any more, with a 500 if nothing was said yet; log it, once."""
    if not isinstance(request_conn, HTTP1Connection) or request_conn.stream is None or request_conn.stream.closed():
        return
    request_id = request_id or new_request_id()
    line = request_conn._request_start_line
    _log.error(
        "request abandoned request_id=%s method=%s path=%s reason=%s",
        request_id,
        getattr(line, "method", "-"),
        redact_path(getattr(line, "path", "-").partition("?")[0]),
        reason,
    )
    if request_conn._response_start_line is None:
        with suppress(StreamClosedError):
            request_conn.stream.write(_abandonment(request_id, is_head=getattr(line, "method", "") == "HEAD"))
    request_conn.close()


def _abandonment(request_id: str, *, is_head: bool) -> bytes:
    """Return the whole answer."""
    body = json.dumps({"detail": "Internal server error.", "request_id": request_id}, separators=(",", ":"))
    headers = [
        *common_headers(None, ()),
        ("X-Request-Id", request_id),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    lines = ["HTTP/1.1 500 Internal Server Error", *(f"{name}: {value}" for name, value in headers), "", ""]
    return ("\r\n".join(lines) + ("" if is_head else body)).encode()


def _close(request_conn: HTTPConnection) -> None:
    if isinstance(request_conn, HTTP1Connection):
        request_conn.close()


def let_be_the_last(request_conn: HTTPConnection) -> None:
    """The answer says `Connection: close`, unless it has begun, and the connection is closed behind it."""
    if isinstance(request_conn, HTTP1Connection):
        request_conn._disconnect_on_finish = True
