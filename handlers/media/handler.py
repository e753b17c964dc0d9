"""Published files in Tornado's ordinary way: every request that the fast lane leaves, and all of them without Linux."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from tornado.iostream import StreamClosedError

from handlers.base import ApiHandler
from handlers.media.conditional import MediaResponse, encoded_body, evaluate
from videoflix.errors import ClientClosedRequest
from videoflix.media.safe_open import OpenFile
from videoflix.media.service import MediaFile, MediaRequest
from videoflix.models import Identity

_READ_CHUNK_BYTES = 256 * 1024  # bytes that are read at once, on a thread

Result = TypeVar("Result")


class MediaFileHandler(ApiHandler):
    """Sends a published file to who has access: by Bearer token, by a playback token of this film, or by cookie."""

    metrics_label = "media"
    _pending_task: asyncio.Task[Any] | None = None
    _is_disconnected = False

    @property
    def playback_token(self) -> str:
        """The playback token, if that is what opens the file."""
        return "" if "Authorization" in self.request.headers else self.get_query_argument("token", "")

    def authenticate(self) -> Identity:
        """Who sends this. Raises NotAuthenticated or TokenNotValid."""
        if token := self.playback_token:
            return self.services.token_verifier.verify_playback_token(token, int(self.path_kwargs["video_id"]))
        return super().authenticate()

    async def send_file(self, lookup: Coroutine[Any, Any, MediaFile]) -> None:
        """What is found, or the part of it that is asked for."""
        asset = await self.cancel_on_disconnect(lookup)
        try:
            reply = evaluate(
                self.request.method or "", self.request.headers, asset, self.services.settings.accel_redirect
            )
            self.set_status(reply.status)
            for name, value in reply.headers:
                self.add_header(name, value) if name == "Vary" else self.set_header(name, value)
            if self.request.method == "GET" and reply.length:
                await self._write_body(asset, reply)
            await self.finish()
        except StreamClosedError:
            return
        finally:
            asset.close()

    async def cancel_on_disconnect(self, operation: Coroutine[Any, Any, Result]) -> Result:
        """The result; when the client hangs up, the work is cancelled. Raises ClientGone."""
        self._pending_task = task = asyncio.ensure_future(operation)
        try:
            return await task
        except asyncio.CancelledError:
            if self._is_disconnected:
                raise ClientClosedRequest from None
            raise

    def on_connection_close(self) -> None:
        """The client hung up, which is no error."""
        self._is_disconnected = True
        if self._pending_task is not None:
            self._pending_task.cancel()

    def compute_etag(self) -> None:
        """The file's is set; Tornado would hash what is in its buffer."""

    async def _write_body(self, media_file: MediaFile, response: MediaResponse) -> None:
        if not isinstance(media_file.content, OpenFile):
            self.write(
                encoded_body(media_file.content, response.is_compressed)[
                    response.start : response.start + response.length
                ]
            )
            return
        async for piece in _read_chunks(media_file.content, response):
            self.write(piece)
            await self.flush()


class MediaHandler(MediaFileHandler):
    """GET /media/hls/<id>/..., /api/video/<id>/...: playlists, segments, subtitles, storyboards."""

    async def get(self, video_id: str, path: str, slash: str = "") -> None:
        """A segment that is not there yet is waited for."""
        asked_at = time.monotonic() - self.request.request_time()
        request = MediaRequest(int(video_id), path, self.playback_token, bool(slash), asked_at)
        await self.send_file(self.services.media.get(request, self.identity.user_id))


class ThumbnailHandler(MediaFileHandler):
    """GET /media/thumbnails/<id>.jpg."""

    async def get(self, video_id: str) -> None:
        """The film's picture; a placeholder until there is one."""
        await self.send_file(self.services.media.get_thumbnail(int(video_id)))


async def _read_chunks(file: OpenFile, response: MediaResponse) -> AsyncIterator[bytes]:
    """Raises EOFError when the file is shorter than it was: the client must not take that for the whole."""
    place, end = response.start, response.start + response.length
    while place < end:
        piece = await asyncio.to_thread(os.pread, file.descriptor, min(_READ_CHUNK_BYTES, end - place), place)
        if not piece:
            raise EOFError("a published file was cut short")
        yield piece
        place += len(piece)
