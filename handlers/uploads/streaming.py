"""Request bodies that are processed piece by piece while they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from tornado.web import stream_request_body

from handlers.base import ApiHandler
from handlers.http.body_limit import accept_oversized_body, read_in_large_pieces

_MAX_QUEUED_BYTES = 4 * 1024**2  # received while earlier ones are processed: an upload takes twice that in memory
_READ_CHUNK_BYTES = 256 * 1024  # read at once: a quarter of the calls of an ordinary connection

_background_tasks: set[asyncio.Future[None]] = set()


@stream_request_body
class StreamedBodyHandler(ApiHandler):
    """Processes a body while it arrives. An early response is sent at once; the rest of the body is discarded then."""

    answer_within_s = 3600.0  # after the last byte: writing gigabytes to a slow disk takes long
    _is_complete = False
    _consumer: asyncio.Task[None] | None = None
    _queued_bytes = 0

    async def prepare(self) -> None:
        """Prepare to receive a body of any size."""
        self._queue: list[bytes] = []
        self._has_capacity = asyncio.Event()
        accept_oversized_body(self.request)
        await super().prepare()
        read_in_large_pieces(self.request, _READ_CHUNK_BYTES)

    async def on_body_chunk(self, pieces: Sequence[bytes]) -> None:
        """Process the next pieces of the body while others are received. An exception becomes the response."""

    async def on_body_complete(self) -> None:
        """Respond to a complete body. Runs to its end even if the client has disconnected."""

    async def discard(self) -> None:
        """Discard what has been received, if anything. Idempotent."""

    async def post(self) -> None:
        """Respond once all pieces have been processed."""
        self._is_complete = True
        try:
            if self._consumer is not None:
                await self._consumer
            if not self.is_finished:
                await self.on_body_complete()
        finally:
            await self.discard()

    async def data_received(self, chunk: bytes) -> None:
        """Called by Tornado with each piece of the body, until there is a response."""
        self._queue.append(chunk)
        self._queued_bytes += len(chunk)
        if self._consumer is None or self._consumer.done():
            self._consumer = asyncio.create_task(self._consume_queue())
        while self._queued_bytes >= _MAX_QUEUED_BYTES and not self._consumer.done():
            self._has_capacity.clear()
            await self._has_capacity.wait()

    async def _consume_queue(self) -> None:
        """Process the queue until it is empty; after a response, discard it."""
        try:
            while self._queue and not self.is_finished:
                pieces, self._queue, self._queued_bytes = self._queue, [], 0
                self._has_capacity.set()
                await self.on_body_chunk(pieces)
        except Exception as error:
            try:
                await self.discard()
            finally:
                if not self.is_finished:
                    self.handle_exception(error)
        finally:
            self._queue, self._queued_bytes = [], 0
            self._has_capacity.set()

    def on_connection_close(self) -> None:
        """Called when the client disconnects. A complete body is processed anyway, like that of any other request."""
        super().on_connection_close()
        if not self._is_complete:
            self.run_in_background(self.discard())

    def on_finish(self) -> None:
        """Called after the response, perhaps before the body was complete."""
        super().on_finish()
        if not self._is_complete:
            self.run_in_background(self.discard())

    @staticmethod
    def run_in_background(coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end without waiting for it."""
        task = asyncio.ensure_future(coroutine)
        _background_tasks.add(task)
        task.add_done_callback(_background_tasks.discard)
