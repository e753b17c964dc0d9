"""Closing a connection whose client still sends: read on and throw away for a while (RFC 9112, 9.6).

A connection that is closed under a client that sends is reset, and the client loses the answer that explains it. So the
socket outlives its stream: the write side is shut down, and what comes is discarded until the client closes, the body
is complete, nothing comes any more, or time is up. nginx calls this `lingering_close`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from socket import SHUT_WR, socket
from typing import Any

from tornado.iostream import IOStream

_LONGEST_S = 30.0  # in all; nginx's lingering_time
_SILENCE_S = 5.0  # without a byte; nginx's lingering_timeout
_AFTER_LAST_CHUNK_S = 0.5  # without a byte behind what looks like the end of a chunked body
_GRACE_S = 2.0  # in which a client may be slow
_SLOWEST_BYTES_PER_S = 30_000  # after that: a film sent to a wrong path comes faster, a place that is held does not
_SWEEP_S = 0.25
_PIECE_BYTES = 64 * 1024
_LAST_CHUNK = b"0\r\n\r\n"


class Lingering:
    """All sockets of a web process that are being closed under clients that still send."""

    def __init__(self) -> None:
        self._sockets: dict[_Socket, None] = {}  # in the order of their closing
        self._timer: asyncio.TimerHandle | None = None
        self._discarded = bytearray(_PIECE_BYTES)

    def __len__(self) -> int:
        return len(self._sockets)

    def take(self, connection: socket, unread: float, tail: bytes, released: Callable[[], None]) -> None:
        """Close a socket when its client has had its say; `released` is called then.

        `unread`: bytes of the request that are still to come, infinite when that is not known. `tail`: the last bytes
        that came.
        """
        lingering = _Socket(self, connection, unread, tail, released)
        self._sockets[lingering] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)
        lingering.start(self._discarded)

    def make_room(self) -> bool:
        """Close the one that has lingered longest; return whether there was one."""
        for lingering in self._sockets:
            lingering.close()
            return True
        return False

    def close(self) -> None:
        """Close all of them."""
        for lingering in list(self._sockets):
            lingering.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def forget(self, lingering: _Socket) -> None:
        """Called by a socket that is closed."""
        self._sockets.pop(lingering, None)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for lingering in [each for each in self._sockets if each.is_over(loop.time())]:
            lingering.close()
        self._timer = loop.call_later(_SWEEP_S, self._sweep) if self._sockets else None


class _Socket:
    """One of them."""

    def __init__(
        self, owner: Lingering, connection: socket, unread: float, tail: bytes, released: Callable[[], None]
    ) -> None:
        self._owner = owner
        self._connection = connection
        self._unread = unread
        self._tail = tail[-len(_LAST_CHUNK) :]
        self._released = released
        self._loop = asyncio.get_running_loop()
        self._since = self._heard = self._loop.time()
        self._read_bytes = 0

    def start(self, discarded: bytearray) -> None:
        """Tell the client that nothing more is said, and listen."""
        try:
            self._connection.shutdown(SHUT_WR)
            self._loop.add_reader(self._connection.fileno(), self._read, discarded)
        except OSError:  # the client is gone
            self.close()

    def is_over(self, moment: float) -> bool:
        """Whether the client has had its time."""
        seconds = moment - self._since
        ended = self._unread == inf and self._tail.endswith(_LAST_CHUNK)
        is_silent = moment - self._heard > (_AFTER_LAST_CHUNK_S if ended else _SILENCE_S)
        is_slow = seconds > _GRACE_S and self._read_bytes < _SLOWEST_BYTES_PER_S * (seconds - _GRACE_S)
        return is_silent or is_slow or seconds > _LONGEST_S

    def close(self) -> None:
        """Safe to repeat."""
        if self._connection.fileno() >= 0:
            self._owner.forget(self)
            self._loop.remove_reader(self._connection.fileno())
            self._connection.close()
            self._released()

    def _read(self, discarded: bytearray) -> None:
        try:
            size = self._connection.recv_into(discarded)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        self._heard = self._loop.time()
        self._read_bytes += size
        self._unread -= size
        self._tail = (self._tail + discarded[max(0, size - len(_LAST_CHUNK)) : size])[-len(_LAST_CHUNK) :]
        if not size or self._unread <= 0:
            self.close()


class LingeringStream(IOStream):
    """A stream that lingers when it is closed before the request is complete."""

    def __init__(self, connection: socket, lingering: Lingering, released: Callable[[], None], **given: Any) -> None:
        super().__init__(connection, **given)
        self._lingering = lingering
        self._released = released
        self.unread: float = 0  # bytes of a request that are still to come; infinite when the client does not say

    def close_fd(self) -> None:
        """Called by Tornado, once."""
        connection, self.socket = self.socket, None  # type: ignore[assignment]  # as Tornado does
        buffered = bytes(self._read_buffer[-len(_LAST_CHUNK) :])
        unread = self.unread - self._read_buffer_size
        if unread > 0 and self.error is None:
            self._lingering.take(connection, unread, buffered, self._released)
        else:
            connection.close()
            self._released()
