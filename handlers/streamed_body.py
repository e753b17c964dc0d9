"""Bodies that are taken piece by piece, and answers to clients that are still sending theirs."""

from __future__ import annotations

import asyncio
import sys
from math import inf
from typing import Any

from tornado.escape import utf8
from tornado.web import stream_request_body

from handlers.base import ApiHandler
from handlers.http.body_limit import read_whatever_comes

_LINGER = 30.0  # seconds that a refused client may go on sending; nginx's lingering_time


@stream_request_body
class StreamedBodyHandler(ApiHandler):
    """An early answer goes out at once, and what the client still sends is thrown away.

    Closing the connection under a client that sends would reset it, and the answer would be lost (RFC 9112, 9.6).
    """

    _answered = False
    _rest: float = 0  # bytes that are still to come; infinite when the client does not say
    _closing: asyncio.TimerHandle | None = None

    async def prepare(self) -> None:
        """Before a byte of the body is read."""
        headers = self.request.headers
        self._rest = inf if "Transfer-Encoding" in headers else int(headers.get("Content-Length") or 0)
        self._untouched = True
        read_whatever_comes(self.request)
        await super().prepare()

    async def take(self, piece: bytes) -> None:
        """The next piece of the body; the one after it is read when this returns. What it raises is the answer."""

    async def taken(self) -> None:
        """The body is complete: answer."""

    def refused(self) -> None:
        """The rest of the body is thrown away; so can be what was taken."""

    async def post(self) -> None:
        """Take a body in."""
        if self._answered:
            self._end()
        else:
            await self.taken()

    async def data_received(self, chunk: bytes) -> None:
        """Called by Tornado, piece by piece."""
        self._rest, self._untouched = self._rest - len(chunk), False
        if not self._answered:
            try:
                await self.take(chunk)
            except Exception:
                self.log_exception(*sys.exc_info())
                self.send_error(500, exc_info=sys.exc_info())
        if self._answered and self._rest <= 0:
            self._end()

    def finish(self, chunk: Any = None) -> asyncio.Future[None]:
        """Answer; a client that is still sending is let finish first. Tornado calls this again after an error."""
        # A client that waits for 100 Continue sends nothing any more once it has an answer.
        waits = self._untouched and "Expect" in self.request.headers
        if not self._answered and (self._rest <= 0 or waits):
            return super().finish(chunk)
        if not self._answered:
            self._answered = True
            self.refused()
            self._closing = asyncio.get_running_loop().call_later(_LINGER, self._end)
            body = utf8(chunk or "")
            self.set_header("Content-Length", len(body))
            self.set_header("Connection", "close")
            self.write(body)
        return self.flush()

    def _end(self) -> None:
        if not self._finished:
            super().finish()

    def on_finish(self) -> None:
        """The request is over, however it ended."""
        if self._closing is not None:
            self._closing.cancel()
