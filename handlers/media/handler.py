"""Published files by Tornado's handlers: all requests that the fast path leaves, and every request without Linux."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from typing import Any

from tornado.iostream import StreamClosedError

from handlers.base import ApiHandler
from handlers.credentials import Credential, CredentialKind, authorize_media
from handlers.media.conditional import MediaResponse, encoded_body, evaluate
from videoflix.errors import ClientClosedRequest
from videoflix.media.safe_open import OpenFile
from videoflix.media.service import MediaFile, MediaRequest
from videoflix.models import Identity

_READ_CHUNK_BYTES = 256 * 1024  # read at once, on a thread


class MediaFileHandler(ApiHandler):
    """Sends a published file to clients with a Bearer token, a playback token of its video, or an access cookie."""

    metrics_label = "media"
    _credential: Credential | None = None
    _waiting_task: asyncio.Task[Any] | None = None
    _is_disconnected = False

    def authenticate(self) -> Identity:
        """Return who may have the file. Raises NotAuthenticated or TokenNotValid."""
        self._credential = self.find_credential(self.get_query_argument("token", ""))
        return authorize_media(self._credential, self.services.token_verifier, int(self.path_kwargs["video_id"]))

    @property
    def playback_token(self) -> str:
        """The playback token if it authorized this request, else an empty string."""
        credential = self._credential
        return credential.token if credential and credential.kind is CredentialKind.PLAYBACK else ""

    async def send_file(self, media_file: MediaFile) -> None:
        """Send the file, or the requested part of it."""
        try:
            response = evaluate(
                self.request.method or "", self.request.headers, media_file, self.services.settings.accel_redirect
            )
            self.set_status(response.status)
            for name, value in response.headers:
                self.add_header(name, value) if name == "Vary" else self.set_header(name, value)
            if self.request.method == "GET" and response.length:
                await self._write_body(media_file, response)
            await self.finish()
        except StreamClosedError:
            return

    @contextmanager
    def cancel_on_disconnect(self) -> Iterator[None]:
        """Cancel the block when the client disconnects. Raises ClientClosedRequest then."""
        self._waiting_task = task = asyncio.current_task()
        try:
            if self._is_disconnected:
                raise ClientClosedRequest
            yield
        except asyncio.CancelledError:
            if self._is_disconnected and task is not None and task.uncancel() == 0:
                raise ClientClosedRequest from None
            raise
        finally:
            self._waiting_task = None

    def on_connection_close(self) -> None:
        """Called by Tornado when the client disconnects, which is not an error."""
        self._is_disconnected = True
        if self._waiting_task is not None:
            self._waiting_task.cancel()
            self._waiting_task = None

    def compute_etag(self) -> None:
        """Set no ETag: the file has one, and Tornado would hash the contents of its buffer."""

    async def _write_body(self, media_file: MediaFile, response: MediaResponse) -> None:
        if not isinstance(media_file.content, OpenFile):
            body = encoded_body(media_file.content, response.is_compressed)
            self.write(body[response.start : response.start + response.length])
            return
        async for chunk in _read_chunks(media_file.content, response):
            self.write(chunk)
            await self.flush()


class MediaHandler(MediaFileHandler):
    """GET /media/hls/<id>/..., /api/video/<id>/...: playlists, segments, subtitles, storyboards."""

    async def get(self, video_id: str, path: str, slash: str = "") -> None:
        """Send a file. A segment that is not encoded yet is waited for."""
        received_at = time.monotonic() - self.request.request_time()
        request = MediaRequest(int(video_id), path, self.playback_token, bool(slash), received_at)
        with self.cancel_on_disconnect():
            media_file = await self.services.media.get(request, self.identity.user_id)
        with closing(media_file):
            await self.send_file(media_file)


class ThumbnailHandler(MediaFileHandler):
    """GET /media/thumbnails/<id>.jpg."""

    async def get(self, video_id: str) -> None:
        """Send the video's thumbnail, or a placeholder until there is one."""
        with self.cancel_on_disconnect():
            media_file = await self.services.media.get_thumbnail(int(video_id))
        with closing(media_file):
            await self.send_file(media_file)


async def _read_chunks(file: OpenFile, response: MediaResponse) -> AsyncIterator[bytes]:
    """Yield the bytes of a response. Raises EOFError if the file has been truncated, lest the body look complete."""
    offset, end = response.start, response.start + response.length
    while offset < end:
        chunk = await asyncio.to_thread(os.pread, file.descriptor, min(_READ_CHUNK_BYTES, end - offset), offset)
        if not chunk:
            raise EOFError("a published file was cut short")
        yield chunk
        offset += len(chunk)
