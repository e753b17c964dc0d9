"""Upload, change and delete videos, and retry or cancel their transcoding."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

from handlers import views
from handlers.admin.base import AdminHandler
from handlers.schemas import VideoPatch
from handlers.uploads.multipart import MultipartForm
from handlers.uploads.streaming import StreamedBodyHandler
from videoflix.catalogue.validation import default_title
from videoflix.errors import BadRequest, FieldErrors, InsufficientStorage
from videoflix.models import NewVideo, Video
from videoflix.upload_storage import safe_suffix

# A thread of its own: closing aborted uploads must not block the threads that all other requests share.
_CLOSE_EXECUTOR = ThreadPoolExecutor(1, thread_name_prefix="close_upload")


class AdminVideoBaseHandler(AdminHandler):
    """An endpoint that responds with one video."""

    async def respond_with_video(self, video: Video, status: int = 200) -> None:
        """Respond with a video and the progress of its transcoding."""
        progress = await self.services.catalogue.get_encoding_progress([video])
        self.respond(views.admin_video(video, progress.get(video.id)), status)


class AdminVideosHandler(AdminVideoBaseHandler, StreamedBodyHandler):
    """GET and POST /api/admin/videos/: list all videos; upload one as multipart/form-data."""

    form: MultipartForm | None = None
    _text_fields: ClassVar[tuple[str, ...]] = ("title", "description", "category")

    async def prepare(self) -> None:
        """Check the rights and the free disk space before the first byte of the file is read."""
        await super().prepare()
        if self.request.method == "POST":
            size = int(self.request.headers.get("Content-Length") or 0)
            self.upload_path = await asyncio.to_thread(self.services.uploads.allocate_path, size)
            self.form = MultipartForm(
                self.request.headers.get("Content-Type", ""),
                "file",
                self.upload_path,
                validate_fields=self._validate_fields,
                on_file_opened=self.services.uploads.lock,
            )

    async def on_body_chunk(self, pieces: Sequence[bytes]) -> None:
        """Write the next part of the body on a thread. Raises InsufficientStorage if the disk is full."""
        if self.form is not None:
            self.services.token_verifier.require_active(self.identity)
            try:
                await asyncio.to_thread(self._write_chunk, self.form, pieces)
            except OSError as error:
                raise _to_service_error(error) from error

    def _write_chunk(self, form: MultipartForm, pieces: Sequence[bytes]) -> None:
        self.services.uploads.require_space(sum(map(len, pieces)), form.received_bytes)
        for piece in pieces:
            form.feed(piece)

    async def get(self) -> None:
        """Respond with all videos, newest first, including those that failed."""
        videos = await self.services.catalogue.list_all()
        progress = await self.services.catalogue.get_encoding_progress(videos)
        self.respond([views.admin_video(video, progress.get(video.id)) for video in videos])

    async def on_body_complete(self) -> None:
        """Import the video and start its transcoding; respond with 201.

        An upload takes long, so the admin's rights are checked again: they may have been revoked in the meantime.
        """
        assert self.form is not None
        await asyncio.to_thread(self.form.close)
        new_video = self._read_form(self.form)
        await asyncio.to_thread(self.services.uploads.sync_to_disk, self.upload_path)
        await self.services.token_verifier.recheck(self.identity)
        await self.services.accounts.require_admin(self.identity.user_id)
        suffix = safe_suffix(self.form.file_name)
        video = await self.services.catalogue.import_upload(new_video, self.upload_path, suffix)
        await self.respond_with_video(video, 201)

    def _read_form(self, form: MultipartForm) -> NewVideo:
        if not form.is_complete:
            raise BadRequest("The form is incomplete: its last boundary is missing.")
        if not form.file_size:
            missing = "No file was submitted." if form.file_size is None else "The submitted file is empty."
            raise FieldErrors({"file": [missing]})
        return self._new_video(form)

    def _validate_fields(self, form: MultipartForm) -> None:
        """Check the texts that precede the file, so that a bad title is reported before fifty gigabytes are sent."""
        self.services.catalogue.validate(self._new_video(form))

    def _new_video(self, form: MultipartForm) -> NewVideo:
        texts = {name: form.fields[name] for name in self._text_fields if name in form.fields}
        return NewVideo(**{"title": default_title(form.file_name), **texts})

    async def discard(self) -> None:
        """Delete the uploaded file. Idempotent.

        The name is removed at once. The blocks are freed on close, which takes seconds for gigabytes.
        """
        form, self.form = self.form, None
        if form is not None:
            await asyncio.to_thread(self.upload_path.unlink, missing_ok=True)
            self.run_in_background(_close_on_thread(form, self.upload_path))


class AdminVideoHandler(AdminVideoBaseHandler):
    """GET, PATCH and DELETE /api/admin/videos/<id>/."""

    async def get(self, video_id: str) -> None:
        """Respond with the video."""
        await self.respond_with_video(await self.services.catalogue.get(int(video_id)))

    async def patch(self, video_id: str) -> None:
        """Change title, description or category."""
        texts = self.parse_body(VideoPatch).model_dump(exclude_unset=True)
        await self.respond_with_video(await self.services.catalogue.update(int(video_id), texts))

    async def delete(self, video_id: str) -> None:
        """Delete the video and all of its files."""
        await self.services.catalogue.delete(int(video_id))
        self.respond(views.detail("Video deleted."))


class RetryHandler(AdminVideoBaseHandler):
    """POST /api/admin/videos/<id>/retry/."""

    async def post(self, video_id: str) -> None:
        """Transcode a failed or incomplete video again; respond with the video."""
        await self.respond_with_video(await self.services.catalogue.retry(int(video_id)))


class CancelHandler(AdminVideoBaseHandler):
    """POST /api/admin/videos/<id>/cancel/."""

    async def post(self, video_id: str) -> None:
        """Stop the transcoding; respond with the video, which is now failed."""
        await self.respond_with_video(await self.services.catalogue.cancel(int(video_id)))


def _to_service_error(error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InsufficientStorage("The disk is full.")
    return error


async def _close_on_thread(form: MultipartForm, path: Path) -> None:
    await asyncio.get_running_loop().run_in_executor(_CLOSE_EXECUTOR, _close, form, path)


def _close(form: MultipartForm, path: Path) -> None:
    """Close and delete the file again: a thread that was still writing may have created it anew."""
    form.close()
    path.unlink(missing_ok=True)
