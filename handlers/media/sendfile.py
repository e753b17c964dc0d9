"""Transfers from a file to a socket by sendfile(2): the bytes never pass through Python, nor wait in memory.

A transfer uses its connection's socket while Tornado's stream writes nothing. When the socket is full, the event loop
calls back once it is writable again; so a slow viewer costs an open file and one small object. Viewers that take
nothing for `WRITE_TIMEOUT_S` are dropped, because file descriptors run out first.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Sequence

from tornado.iostream import IOStream, SSLIOStream

from handlers.http.timeouts import WRITE_TIMEOUT_S
from videoflix.metrics import FastPathCounters

_CHECK_INTERVAL_S = 10.0  # between two checks for stalled transfers
_DRAIN_POLL_INTERVAL_S = 0.05
_CACHE_SAMPLE_INTERVAL_BYTES = 1024 * 1024  # between two samples of the page cache
_MAX_SENDFILE_BYTES = 4 * 1024 * 1024  # in one call: a fast reader of a large file must not hold up others


def can_sendfile(stream: IOStream) -> bool:
    """Return whether sendfile can be used on this stream now.

    Only Linux reports how much was sent when a non-blocking socket is full, and TLS has to encrypt the bytes.
    """
    return sys.platform == "linux" and not isinstance(stream, SSLIOStream) and not stream.writing()


def is_in_page_cache(file_descriptor: int, start: int, end: int) -> bool:
    """Return whether the bytes [start, end) are in the page cache, by samples. True if that cannot be determined.

    sendfile would wait for the disk otherwise, and with it the whole process.
    """
    try:
        for offset in (*range(start, end, _CACHE_SAMPLE_INTERVAL_BYTES), end - 1):
            os.preadv(file_descriptor, [bytearray(1)], offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:  # the file system does not support the flag
        return True
    return True


class SendfileTransfers:
    """All transfers of a web process."""

    def __init__(self, counters: FastPathCounters) -> None:
        self._counters = counters
        self._blocked: set[_Transfer] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(
        self, stream: IOStream, head: bytes, file_descriptor: int, start: int, end: int, on_done: Callable[[bool], None]
    ) -> Callable[[], None]:
        """Send `head` and the bytes [start, end) of a file, then call `on_done(True)`, or `on_done(False)` on failure.

        Return a function that stops the transfer without calling `on_done`, which may be called before this returns.
        """
        transfer = _Transfer(self, stream, file_descriptor, start, end, on_done)
        try:
            if transfer.send_head(head):
                transfer.send_more()
        except BaseException:
            transfer.stop()
            raise
        return transfer.stop

    async def drain(self, timeout_s: float) -> None:
        """Wait until all transfers have ended, but no longer than `timeout_s`; then abort the rest."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while self._blocked and loop.time() < deadline:  # noqa: ASYNC110  # each transfer ends by itself
            await asyncio.sleep(_DRAIN_POLL_INTERVAL_S)
        for transfer in list(self._blocked):
            transfer.abort()
        if self._timer is not None:
            self._timer.cancel()

    def add_blocked(self, transfer: _Transfer) -> None:
        """Record that a transfer waits for its socket."""
        self._blocked.add(transfer)
        self._counters.active_transfers = len(self._blocked)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_CHECK_INTERVAL_S, self._abort_stalled)

    def remove_blocked(self, transfer: _Transfer) -> None:
        """Record that a transfer no longer waits."""
        self._blocked.discard(transfer)
        self._counters.active_transfers = len(self._blocked)

    def count_sent(self, size: int) -> None:
        """Count bytes that the kernel has taken."""
        self._counters.sent_bytes += size

    def _abort_stalled(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        for transfer in self._stalled(loop.time()):
            transfer.abort()
        if self._blocked:
            self._timer = loop.call_later(_CHECK_INTERVAL_S, self._abort_stalled)

    def _stalled(self, now: float) -> Sequence[_Transfer]:
        return [transfer for transfer in self._blocked if now - transfer.last_progress_at > WRITE_TIMEOUT_S]


class _Transfer:
    """A response that is being sent."""

    __slots__ = (
        "_end",
        "_file_descriptor",
        "_loop",
        "_offset",
        "_on_done",
        "_socket",
        "_socket_descriptor",
        "_transfers",
        "last_progress_at",
    )

    def __init__(
        self,
        transfers: SendfileTransfers,
        stream: IOStream,
        file_descriptor: int,
        start: int,
        end: int,
        on_done: Callable[[bool], None],
    ) -> None:
        self._transfers = transfers
        self._socket = stream.socket
        self._file_descriptor = file_descriptor
        self._offset, self._end = start, end
        self._on_done = on_done
        self._loop = asyncio.get_running_loop()
        self._socket_descriptor = -1  # a duplicate of the socket's, while the transfer waits for it
        self.last_progress_at = 0.0

    def send_head(self, head: bytes) -> bool:
        """Send the head in the same packet as the first bytes of the file. Return whether that succeeded.

        An idle socket takes it whole, unless the connection is broken.
        """
        try:
            taken = self._socket.send(head, socket.MSG_MORE)
        except OSError:
            taken = 0
        if taken < len(head):
            self._finish(False)
        return taken == len(head)

    def send_more(self) -> None:
        """Send as much as the socket takes."""
        descriptor = self._socket.fileno() if self._socket_descriptor < 0 else self._socket_descriptor
        try:
            sent = os.sendfile(
                descriptor, self._file_descriptor, self._offset, min(self._end - self._offset, _MAX_SENDFILE_BYTES)
            )
        except BlockingIOError:
            self._wait_writable()
            return
        except OSError:
            self._finish(False)
            return
        self._offset += sent
        self._transfers.count_sent(sent)
        if self._offset == self._end:
            self._finish(True)
        elif sent == 0:  # the file has been truncated
            self._finish(False)
        else:
            self._wait_writable()

    def _on_writable(self) -> None:
        """Called by the event loop, repeatedly until the transfer is stopped."""
        try:
            self.send_more()
        except Exception:
            self._finish(False)
            raise

    def stop(self) -> None:
        """Stop the transfer without calling `on_done`. Idempotent."""
        if self._socket_descriptor >= 0:
            self._transfers.remove_blocked(self)
            self._loop.remove_writer(self._socket_descriptor)
            os.close(self._socket_descriptor)
            self._socket_descriptor = -1

    def abort(self) -> None:
        """Stop the transfer as failed."""
        self._finish(False)

    def _wait_writable(self) -> None:
        """Wait on a duplicate descriptor: the stream has handlers for its own one, and may close it at any time."""
        self.last_progress_at = self._loop.time()
        if self._socket_descriptor < 0:
            self._socket_descriptor = os.dup(self._socket.fileno())
            try:
                self._loop.add_writer(self._socket_descriptor, self._on_writable)
                self._transfers.add_blocked(self)
            except BaseException:
                self.stop()
                raise

    def _finish(self, is_complete: bool) -> None:
        self.stop()
        self._on_done(is_complete)
