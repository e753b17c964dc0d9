"""Published files in Tornado's ordinary way: every request that the fast lane leaves, and all of them without Linux."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from tornado.iostream import StreamClosedError

from handlers.base import ApiHandler
from handlers.media.answer import Reply, answer, body_of
from videoflix.errors import ClientGone
from videoflix.media.files import OpenFile
from videoflix.media.service import Asset, Request
from videoflix.models import Identity

_PIECE = 256 * 1024  # bytes that are read at once, on a thread

Result = TypeVar("Result")


class FileHandler(ApiHandler):
    """Sends a published file to who has access: by Bearer token, by a playback token of this film, or by cookie."""

    metrics_label = "media"
    _waiting: asyncio.Task[Any] | None = None
    _is_gone = False

    @property
    def token(self) -> str:
        """The playback token, if that is what opens the file."""
        return "" if "Authorization" in self.request.headers else self.get_query_argument("token", "")

    def authenticate(self) -> Identity:
        """Who sends this. Raises NotAuthenticated or TokenNotValid."""
        if token := self.token:
            return self.services.admission.by_playback_token(token, int(self.path_kwargs["video_id"]))
        return super().authenticate()

    async def send(self, finding: Coroutine[Any, Any, Asset]) -> None:
        """What is found, or the part of it that is asked for."""
        asset = await self.while_connected(finding)
        try:
            reply = answer(self.request.method or "", self.request.headers, asset, self.services.settings.accel_redirect)
            self.set_status(reply.status)
            for name, value in reply.headers:
                self.add_header(name, value) if name == "Vary" else self.set_header(name, value)
            if self.request.method == "GET" and reply.length:
                await self._write(asset, reply)
            await self.finish()
        except StreamClosedError:
            return
        finally:
            asset.close()

    async def while_connected(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result; when the client hangs up, the work is cancelled. Raises ClientGone."""
        self._waiting = task = asyncio.ensure_future(work)
        try:
            return await task
        except asyncio.CancelledError:
            if self._is_gone:
                raise ClientGone from None
            raise

    def on_connection_close(self) -> None:
        """The client hung up, which is no error."""
        self._is_gone = True
        if self._waiting is not None:
            self._waiting.cancel()

    def compute_etag(self) -> None:
        """The file's is set; Tornado would hash what is in its buffer."""

    async def _write(self, asset: Asset, reply: Reply) -> None:
        if not isinstance(asset.content, OpenFile):
            self.write(body_of(asset.content, reply.is_compressed)[reply.start : reply.start + reply.length])
            return
        async for piece in _pieces(asset.content, reply):
            self.write(piece)
            await self.flush()


class MediaHandler(FileHandler):
    """GET /media/hls/<id>/..., /api/video/<id>/...: playlists, segments, subtitles, storyboards."""

    async def get(self, video_id: str, path: str, slash: str = "") -> None:
        """A segment that is not there yet is waited for."""
        asked_at = time.monotonic() - self.request.request_time()
        request = Request(int(video_id), path, self.token, bool(slash), asked_at)
        await self.send(self.services.media.find(request, self.identity.user_id))


class ThumbnailHandler(FileHandler):
    """GET /media/thumbnails/<id>.jpg."""

    async def get(self, video_id: str) -> None:
        """The film's picture; a placeholder until there is one."""
        await self.send(self.services.media.thumbnail(int(video_id)))


async def _pieces(file: OpenFile, reply: Reply) -> AsyncIterator[bytes]:
    """Raises EOFError when the file is shorter than it was: the client must not take that for the whole."""
    place, end = reply.start, reply.start + reply.length
    while place < end:
        piece = await asyncio.to_thread(os.pread, file.descriptor, min(_PIECE, end - place), place)
        if not piece:
            raise EOFError("a published file was cut short")
        yield piece
        place += len(piece)
