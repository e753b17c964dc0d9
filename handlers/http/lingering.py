"""Lingering close: read and discard what a client still sends before its socket is closed (RFC 9112, section 9.6).

Closing a connection while its client sends would reset it, and the client would lose the response that explains why.
So the socket outlives its stream: its write side is shut down, and incoming bytes are discarded until the client
closes, the body is complete, nothing arrives any more, or a time limit is reached. nginx calls this
`lingering_close`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from socket import SHUT_WR, socket
from typing import Any

from tornado.iostream import IOStream

from handlers.http.timeouts import LINGER_TIMEOUT_S
from handlers.tornado_internals.streams import buffered_bytes, buffered_tail

_SILENCE_TIMEOUT_S = 5.0  # without a byte; nginx's lingering_timeout
_LAST_CHUNK_TIMEOUT_S = 0.5  # without a byte after what looks like the end of a chunked body
_SLOW_GRACE_S = 2.0  # before a minimum rate applies
_MIN_BYTES_PER_S = 30_000  # an upload to a wrong path is faster; a client that only occupies a connection is not
_CHECK_INTERVAL_S = 0.25
_READ_BYTES = 64 * 1024
_LAST_CHUNK = b"0\r\n\r\n"


class Lingering:
    """All lingering sockets of a web process."""

    def __init__(self) -> None:
        self._sockets: dict[_LingeringSocket, None] = {}  # in the order in which they were added
        self._timer: asyncio.TimerHandle | None = None
        self._buffer = bytearray(_READ_BYTES)  # for discarded bytes

    def __len__(self) -> int:
        return len(self._sockets)

    def add(self, connection: socket, unread: float, tail: bytes, on_closed: Callable[[], None]) -> None:
        """Close a socket once its client has stopped sending, and call `on_closed` then.

        `unread` is how many bytes of the request are still to come, infinite if unknown. `tail` holds the last bytes
        that were received.
        """
        lingering = _LingeringSocket(self, connection, unread, tail, on_closed)
        self._sockets[lingering] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_CHECK_INTERVAL_S, self._close_expired)
        lingering.start(self._buffer)

    def close_oldest(self) -> bool:
        """Close the socket that has lingered longest. Return whether there was one."""
        for lingering in self._sockets:
            lingering.close()
            return True
        return False

    def close(self) -> None:
        """Close all sockets."""
        for lingering in list(self._sockets):
            lingering.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def remove(self, lingering: _LingeringSocket) -> None:
        """Forget a socket that has been closed."""
        self._sockets.pop(lingering, None)

    def _close_expired(self) -> None:
        loop = asyncio.get_running_loop()
        for lingering in [lingering for lingering in self._sockets if lingering.is_expired(loop.time())]:
            lingering.close()
        self._timer = loop.call_later(_CHECK_INTERVAL_S, self._close_expired) if self._sockets else None


class _LingeringSocket:
    """A socket whose client may still be sending."""

    def __init__(
        self, owner: Lingering, connection: socket, unread: float, tail: bytes, on_closed: Callable[[], None]
    ) -> None:
        self._owner = owner
        self._connection = connection
        self._unread = unread
        self._tail = tail[-len(_LAST_CHUNK) :]
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._started_at = self._last_read_at = self._loop.time()
        self._read_bytes = 0

    def start(self, buffer: bytearray) -> None:
        """Shut down the write side and begin to discard what arrives."""
        try:
            self._connection.shutdown(SHUT_WR)
            self._loop.add_reader(self._connection.fileno(), self._read, buffer)
        except OSError:  # the client has disconnected
            self.close()

    def is_expired(self, now: float) -> bool:
        """Return whether a time limit has been reached, or the client is too slow."""
        seconds = now - self._started_at
        may_be_complete = self._unread == inf and self._tail.endswith(_LAST_CHUNK)
        is_silent = now - self._last_read_at > (_LAST_CHUNK_TIMEOUT_S if may_be_complete else _SILENCE_TIMEOUT_S)
        is_slow = seconds > _SLOW_GRACE_S and self._read_bytes < _MIN_BYTES_PER_S * (seconds - _SLOW_GRACE_S)
        return is_silent or is_slow or seconds > LINGER_TIMEOUT_S

    def close(self) -> None:
        """Close the socket. Idempotent."""
        if self._connection.fileno() >= 0:
            self._owner.remove(self)
            self._loop.remove_reader(self._connection.fileno())
            self._connection.close()
            self._on_closed()

    def _read(self, buffer: bytearray) -> None:
        try:
            size = self._connection.recv_into(buffer)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        self._last_read_at = self._loop.time()
        self._read_bytes += size
        self._unread -= size
        self._tail = (self._tail + buffer[max(0, size - len(_LAST_CHUNK)) : size])[-len(_LAST_CHUNK) :]
        if not size or self._unread <= 0:
            self.close()


class LingeringStream(IOStream):
    """A stream whose socket lingers if the stream is closed before the request is complete."""

    def __init__(self, connection: socket, lingering: Lingering, on_closed: Callable[[], None], **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        self._lingering = lingering
        self._on_closed = on_closed
        self.unread: float = 0  # bytes of the request that are still to come; infinite if unknown

    def close_fd(self) -> None:
        """Called by Tornado, once."""
        connection, self.socket = self.socket, None  # type: ignore[assignment]  # as Tornado does
        unread = self.unread - buffered_bytes(self)
        if unread > 0 and self.error is None:
            self._lingering.add(connection, unread, buffered_tail(self, len(_LAST_CHUNK)), self._on_closed)
        else:
            connection.close()
            self._on_closed()
