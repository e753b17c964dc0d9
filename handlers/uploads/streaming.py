"""Bodies that are taken piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from tornado.web import stream_request_body

from handlers.base import ApiHandler
from handlers.tornado_internals.body_limit import accept_oversized_body, read_in_large_pieces

_AHEAD_BYTES = 4 * 1024**2  # that are received while those before them are taken: memory of one upload is twice that

_READ_BYTES = 256 * 1024  # with one call: a quarter of the calls of an ordinary connection

_beside: set[asyncio.Future[None]] = set()


@stream_request_body
class StreamedBodyHandler(ApiHandler):
    """An early answer goes out at once; what the client still sends is thrown away while the connection lingers."""

    answer_within_s = 3600.0  # after the last byte: gigabytes on their way to a slow disk take long
    _is_complete = False
    _taking: asyncio.Task[None] | None = None
    _ahead_bytes = 0

    async def prepare(self) -> None:
        """Before a byte of the body is read."""
        self._ahead: list[bytes] = []
        self._has_room = asyncio.Event()
        accept_oversized_body(self.request)
        await super().prepare()
        read_in_large_pieces(self.request, _READ_BYTES)

    async def on_body_chunk(self, pieces: Sequence[bytes]) -> None:
        """Take the next pieces of the body; others are received meanwhile. What it raises is the answer."""

    async def on_body_complete(self) -> None:
        """The body is complete: answer. It is carried out also when the client has gone meanwhile."""

    async def discard(self) -> None:
        """Throw away what was taken, if there is anything; safe to repeat."""

    async def post(self) -> None:
        """Take a body in."""
        self._is_complete = True
        try:
            if self._taking is not None:
                await self._taking
            if not self._finished:
                await self.on_body_complete()
        finally:
            await self.discard()

    async def data_received(self, chunk: bytes) -> None:
        """Called by Tornado, piece by piece, until there is an answer."""
        self._ahead.append(chunk)
        self._ahead_bytes += len(chunk)
        if self._taking is None or self._taking.done():
            self._taking = asyncio.create_task(self._take_ahead())
        while self._ahead_bytes >= _AHEAD_BYTES and not self._taking.done():
            self._has_room.clear()
            await self._has_room.wait()

    async def _take_ahead(self) -> None:
        """Take what came, and what comes meanwhile; after an answer it is thrown away."""
        try:
            while self._ahead and not self._finished:
                pieces, self._ahead, self._ahead_bytes = self._ahead, [], 0
                self._has_room.set()
                await self.on_body_chunk(pieces)
        except Exception as error:
            try:
                await self.discard()
            finally:
                if not self._finished:
                    self._handle_request_exception(error)
        finally:
            self._ahead, self._ahead_bytes = [], 0
            self._has_room.set()

    def on_connection_close(self) -> None:
        """The client went away. A body that is complete is taken in nevertheless, like that of any other request."""
        super().on_connection_close()
        if not self._is_complete:
            self.run_beside(self.discard())

    def on_finish(self) -> None:
        """Answered, perhaps before the body was complete."""
        super().on_finish()
        if not self._is_complete:
            self.run_beside(self.discard())

    @staticmethod
    def run_beside(work: Coroutine[Any, Any, None]) -> None:
        """Run it to its end although nobody waits for it."""
        task = asyncio.ensure_future(work)
        _beside.add(task)
        task.add_done_callback(_beside.discard)
