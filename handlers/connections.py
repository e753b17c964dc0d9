"""The connections of a web process: which wait for a request, for how long, and which are being answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPConnection

_PATIENCE = 75.0  # seconds for the headers of the next request to be complete; nginx's keepalive_timeout
_LOOK = 5.0  # seconds between two looks for connections that are out of patience
_FIRST = 0.3  # seconds that the first request of a new connection has when the process stops


@dataclass(frozen=True, slots=True)
class _Waiting:
    since: float
    request_conn: HTTPConnection
    is_new: bool  # nothing was asked yet


class Connections:
    """Those that wait longest come first.

    Tornado would set and clear a timer for every request; that took an eighth of the time of a playlist.
    """

    def __init__(self) -> None:
        self._waiting: dict[object, _Waiting] = {}
        self._busy: dict[object, HTTPConnection] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_ending = False

    def wait(self, server_conn: object, request_conn: HTTPConnection) -> None:
        """A request may come now."""
        loop = asyncio.get_running_loop()
        is_new = self._busy.pop(server_conn, None) is None
        self._waiting[server_conn] = _Waiting(loop.time(), request_conn, is_new)
        if self._timer is None:
            self._timer = loop.call_later(_LOOK, self._look)

    def begin(self, server_conn: object, request_conn: HTTPConnection) -> None:
        """It came."""
        self._waiting.pop(server_conn, None)
        self._busy[server_conn] = request_conn
        if self._is_ending:
            _let_be_the_last(request_conn)

    def closed(self, server_conn: object) -> None:
        """Nothing more comes."""
        self._waiting.pop(server_conn, None)
        self._busy.pop(server_conn, None)

    async def end(self, seconds: float) -> None:
        """Answer what is being asked, if that takes no longer, and close every connection behind its answer."""
        self._is_ending = True
        for request_conn in self._busy.values():
            _let_be_the_last(request_conn)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (self._busy or self._waiting) and loop.time() < deadline:
            self._close(
                [each for each, it in self._waiting.items() if not it.is_new or loop.time() - it.since > _FIRST]
            )
            await asyncio.sleep(0.02)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._close([each for each, it in self._waiting.items() if loop.time() - it.since > _PATIENCE])
        self._timer = loop.call_later(_LOOK, self._look) if self._waiting else None

    def _close(self, server_conns: list[object]) -> None:
        for server_conn in server_conns:
            request_conn = self._waiting.pop(server_conn).request_conn
            if isinstance(request_conn, HTTP1Connection):
                request_conn.close()


def _let_be_the_last(request_conn: HTTPConnection) -> None:
    """The answer says `Connection: close`, unless it has begun, and the connection is closed behind it."""
    if isinstance(request_conn, HTTP1Connection):
        request_conn._disconnect_on_finish = True
