"""Bytes from a file to a socket by sendfile(2): they never pass through Python, and wait in the file, not in memory.

A transfer runs on its connection's socket while Tornado's stream writes nothing. When the socket takes no more, the
event loop calls back once it does; so a slow viewer costs an open file and one small object. Viewers that take nothing
for `_STALLED` seconds are dropped, since a socket and a file for each of them is what runs out first.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable

from tornado.iostream import IOStream, SSLIOStream

from videoflix.metrics import FastPathCounters

_STALL_TIMEOUT_S = 60.0  # seconds; nginx's send_timeout
_CHECK_INTERVAL_S = 10.0  # seconds between two looks for stalled transfers
_CACHE_SAMPLE_INTERVAL_BYTES = 1024 * 1024  # bytes between two looks into the page cache
_MAX_SENDFILE_BYTES = 4 * 1024 * 1024  # bytes in one call: a fast reader of a large file must not keep others waiting


def can_sendfile(stream: IOStream) -> bool:
    """Linux alone says how much was sent when a socket that does not block is full; TLS needs its bytes encrypted."""
    return sys.platform == "linux" and not isinstance(stream, SSLIOStream) and not stream.writing()


def is_in_page_cache(file_descriptor: int, start: int, end: int) -> bool:
    """Whether [start, end) is in the page cache, by samples: sendfile waits for a disk, and with it the whole process.

    True where that cannot be asked.
    """
    try:
        for place in (*range(start, end, _CACHE_SAMPLE_INTERVAL_BYTES), end - 1):
            os.preadv(file_descriptor, [bytearray(1)], place, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:  # a file system that does not know the question
        return True
    return True


class SendfileTransfers:
    """All that are under way in this process."""

    def __init__(self, counters: FastPathCounters) -> None:
        self._counters = counters
        self._blocked: set[_Transfer] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(
        self, stream: IOStream, head: bytes, file_descriptor: int, start: int, end: int, on_done: Callable[[bool], None]
    ) -> Callable[[], None]:
        """Send `head` and the bytes [start, end) of a file; then `done(True)`, or `done(False)` when it broke off.

        Returns what stops it without another word. `done` may be called before this returns.
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
        """Let what is under way come to its end for so long, then break it off."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while self._blocked and loop.time() < deadline:  # noqa: ASYNC110  # each transfer ends by itself
            await asyncio.sleep(0.05)
        for transfer in list(self._blocked):
            transfer.abort()
        if self._timer is not None:
            self._timer.cancel()

    def add_blocked(self, transfer: _Transfer) -> None:
        """It waits for its socket."""
        self._blocked.add(transfer)
        self._counters.active_transfers = len(self._blocked)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_CHECK_INTERVAL_S, self._abort_stalled)

    def remove_blocked(self, transfer: _Transfer) -> None:
        """It waits no more."""
        self._blocked.discard(transfer)
        self._counters.active_transfers = len(self._blocked)

    def count_sent(self, size: int) -> None:
        """So many bytes are with the kernel."""
        self._counters.sent_bytes += size

    def _abort_stalled(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        for transfer in [each for each in self._blocked if loop.time() - each.last_progress_at > _STALL_TIMEOUT_S]:
            transfer.abort()
        if self._blocked:
            self._timer = loop.call_later(_CHECK_INTERVAL_S, self._abort_stalled)


class _Transfer:
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
        self._socket_descriptor = -1  # of the socket, once more, while it is waited for
        self.last_progress_at = 0.0

    def send_head(self, head: bytes) -> bool:
        """Into the same packet as the first bytes of the file. An idle socket takes it whole, or is none."""
        try:
            taken = self._socket.send(head, socket.MSG_MORE)
        except OSError:
            taken = 0
        if taken < len(head):
            self._finish(False)
        return taken == len(head)

    def send_more(self) -> None:
        """Send what the socket takes."""
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
        elif sent == 0:  # the file is shorter than it was
            self._finish(False)
        else:
            self._wait_writable()

    def _go_on_again(self) -> None:
        """Called by the loop, and again for as long as nobody stops it."""
        try:
            self.send_more()
        except Exception:
            self._finish(False)
            raise

    def stop(self) -> None:
        """Safe to repeat."""
        if self._socket_descriptor >= 0:
            self._transfers.remove_blocked(self)
            self._loop.remove_writer(self._socket_descriptor)
            os.close(self._socket_descriptor)
            self._socket_descriptor = -1

    def abort(self) -> None:
        """Give up."""
        self._finish(False)

    def _wait_writable(self) -> None:
        """On a descriptor of its own: the stream has handlers for the other one, and closes it when it likes."""
        self.last_progress_at = self._loop.time()
        if self._socket_descriptor < 0:
            self._socket_descriptor = os.dup(self._socket.fileno())
            try:
                self._loop.add_writer(self._socket_descriptor, self._go_on_again)
                self._transfers.add_blocked(self)
            except BaseException:
                self.stop()
                raise

    def _finish(self, is_complete: bool) -> None:
        self.stop()
        self._on_done(is_complete)
