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

from videoflix.metrics import Tally

_STALLED = 60.0  # seconds; nginx's send_timeout
_LOOK = 10.0  # seconds between two looks for stalled transfers
_SAMPLES = 1024 * 1024  # bytes between two looks into the page cache
_AT_ONCE = 4 * 1024 * 1024  # bytes in one call: a fast reader of a large file must not keep others waiting


def can_carry(stream: IOStream) -> bool:
    """Linux alone says how much was sent when a socket that does not block is full; TLS needs its bytes encrypted."""
    return sys.platform == "linux" and not isinstance(stream, SSLIOStream) and not stream.writing()


def is_in_memory(file: int, start: int, end: int) -> bool:
    """Whether [start, end) is in the page cache, by samples: sendfile waits for a disk, and with it the whole process.

    True where that cannot be asked.
    """
    try:
        for place in (*range(start, end, _SAMPLES), end - 1):
            os.preadv(file, [bytearray(1)], place, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:  # a file system that does not know the question
        return True
    return True


class Transfers:
    """All that are under way in this process."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._waiting: set[_Transfer] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(
        self, stream: IOStream, head: bytes, file: int, start: int, end: int, done: Callable[[bool], None]
    ) -> Callable[[], None]:
        """Send `head` and the bytes [start, end) of a file; then `done(True)`, or `done(False)` when it broke off.

        Returns what stops it without another word. `done` may be called before this returns.
        """
        transfer = _Transfer(self, stream, file, start, end, done)
        try:
            if transfer.send_head(head):
                transfer.go_on()
        except BaseException:
            transfer.stop()
            raise
        return transfer.stop

    async def end(self, seconds: float) -> None:
        """Let what is under way come to its end for so long, then break it off."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._waiting and loop.time() < deadline:
            await asyncio.sleep(0.05)
        for transfer in list(self._waiting):
            transfer.break_off()
        if self._timer is not None:
            self._timer.cancel()

    def enter(self, transfer: _Transfer) -> None:
        """It waits for its socket."""
        self._waiting.add(transfer)
        self._tally.transfers = len(self._waiting)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK, self._look)

    def leave(self, transfer: _Transfer) -> None:
        """It waits no more."""
        self._waiting.discard(transfer)
        self._tally.transfers = len(self._waiting)

    def sent(self, size: int) -> None:
        """So many bytes are with the kernel."""
        self._tally.sent += size

    def _look(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        for transfer in [each for each in self._waiting if loop.time() - each.moved > _STALLED]:
            transfer.break_off()
        if self._waiting:
            self._timer = loop.call_later(_LOOK, self._look)


class _Transfer:
    __slots__ = ("_descriptor", "_done", "_end", "_file", "_loop", "_place", "_socket", "_transfers", "moved")

    def __init__(
        self, transfers: Transfers, stream: IOStream, file: int, start: int, end: int, done: Callable[[bool], None]
    ) -> None:
        self._transfers = transfers
        self._socket = stream.socket
        self._file = file
        self._place, self._end = start, end
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._descriptor = -1  # of the socket, once more, while it is waited for
        self.moved = 0.0

    def send_head(self, head: bytes) -> bool:
        """Into the same packet as the first bytes of the file. An idle socket takes it whole, or is none."""
        try:
            taken = self._socket.send(head, socket.MSG_MORE)
        except OSError:
            taken = 0
        if taken < len(head):
            self._finish(False)
        return taken == len(head)

    def go_on(self) -> None:
        """Send what the socket takes."""
        descriptor = self._socket.fileno() if self._descriptor < 0 else self._descriptor
        try:
            sent = os.sendfile(descriptor, self._file, self._place, min(self._end - self._place, _AT_ONCE))
        except BlockingIOError:
            self._wait()
            return
        except OSError:
            self._finish(False)
            return
        self._place += sent
        self._transfers.sent(sent)
        if self._place == self._end:
            self._finish(True)
        elif sent == 0:  # the file is shorter than it was
            self._finish(False)
        else:
            self._wait()

    def _go_on_again(self) -> None:
        """Called by the loop, and again for as long as nobody stops it."""
        try:
            self.go_on()
        except Exception:
            self._finish(False)
            raise

    def stop(self) -> None:
        """Safe to repeat."""
        if self._descriptor >= 0:
            self._transfers.leave(self)
            self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def break_off(self) -> None:
        """Give up."""
        self._finish(False)

    def _wait(self) -> None:
        """On a descriptor of its own: the stream has handlers for the other one, and closes it when it likes."""
        self.moved = self._loop.time()
        if self._descriptor < 0:
            self._descriptor = os.dup(self._socket.fileno())
            try:
                self._loop.add_writer(self._descriptor, self._go_on_again)
                self._transfers.enter(self)
            except BaseException:
                self.stop()
                raise

    def _finish(self, is_complete: bool) -> None:
        self.stop()
        self._done(is_complete)
