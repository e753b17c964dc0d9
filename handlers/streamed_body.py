"""Bodies that are taken piece by piece."""

from __future__ import annotations

import asyncio
from typing import Any

from tornado.web import stream_request_body

from handlers.base import ApiHandler
from handlers.http.body_limit import read_whatever_comes


@stream_request_body
class StreamedBodyHandler(ApiHandler):
    """An early answer goes out at once; what the client still sends is thrown away while the connection lingers."""

    answer_within_s = 3600.0  # after the last byte: gigabytes on their way to a slow disk take long
    _is_complete = False

    async def prepare(self) -> None:
        """Before a byte of the body is read."""
        read_whatever_comes(self.request)
        await super().prepare()

    async def take(self, piece: bytes) -> None:
        """The next piece of the body; the one after it is read when this returns. What it raises is the answer."""

    async def taken(self) -> None:
        """The body is complete: answer. It is carried out also when the client has gone meanwhile."""

    async def discard(self) -> None:
        """Throw away what was taken, if there is anything; safe to repeat."""

    async def post(self) -> None:
        """Take a body in."""
        self._is_complete = True
        try:
            await self.taken()
        finally:
            await self.discard()

    async def data_received(self, chunk: bytes) -> None:
        """Called by Tornado, piece by piece, until there is an answer."""
        try:
            await self.take(chunk)
        except Exception as error:
            await self.discard()
            if not self._finished:
                self._handle_request_exception(error)

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
    def run_beside(work: Any) -> None:
        """Run a coroutine to its end although nobody waits for it."""
        task = asyncio.ensure_future(work)
        _beside.add(task)
        task.add_done_callback(_beside.discard)


_beside: set[asyncio.Future[Any]] = set()
