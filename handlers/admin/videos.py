"""What admins do: put films in, look after them and the work on them."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

from handlers.base import ApiHandler
from handlers.schemas import VideoPatch
from handlers.uploads.multipart import MultipartForm
from handlers.uploads.streaming import StreamedBodyHandler
from videoflix.catalogue import JobProgress
from videoflix.catalogue.validation import default_title
from videoflix.errors import BadRequest, FieldErrors, InsufficientStorage
from videoflix.models import NewVideo, Video, VideoStatus, isoformat
from videoflix.upload_storage import safe_suffix

# One thread of their own: broken-off uploads must not take those that everybody's requests need.
_CLOSING = ThreadPoolExecutor(1, thread_name_prefix="closing")


class AdminHandler(ApiHandler):
    """For admins only."""

    metrics_label = "admin"
    is_admin_only = True

    async def admin_view(self, video: Video) -> Mapping[str, object]:
        """A video with its state, as admins see it."""
        work = await self.services.catalogue.get_encoding_progress([video])
        return admin_video(video, work.get(video.id))


class AdminVideosHandler(AdminHandler, StreamedBodyHandler):
    """GET and POST /api/admin/videos/: all videos; take in a film."""

    form: MultipartForm | None = None
    _text_fields: ClassVar[tuple[str, ...]] = ("title", "description", "category")

    async def prepare(self) -> None:
        """The right is checked and the room is found before a byte of the film is read."""
        await super().prepare()
        if self.request.method == "POST":
            size = int(self.request.headers.get("Content-Length") or 0)
            self.upload_path = await asyncio.to_thread(self.services.uploads.allocate_path, size)
            self.form = MultipartForm(
                self.request.headers.get("Content-Type", ""),
                "file",
                self.upload_path,
                validate_fields=self._validate_fields,
            )

    async def on_body_chunk(self, pieces: Sequence[bytes]) -> None:
        """Write them, by a thread."""
        if self.form is not None:
            self.services.accounts.require_living(self.identity)
            try:
                await asyncio.to_thread(self._write_chunk, self.form, pieces)
            except OSError as error:
                raise _to_service_error(error) from error

    def _write_chunk(self, form: MultipartForm, pieces: Sequence[bytes]) -> None:
        self.services.uploads.require_space(sum(map(len, pieces)), form.received_bytes)
        for piece in pieces:
            form.feed(piece)

    async def get(self) -> None:
        """Every video, newest first, also those that failed."""
        videos = await self.services.catalogue.list_all()
        work = await self.services.catalogue.get_encoding_progress(videos)
        self.respond([admin_video(video, work.get(video.id)) for video in videos])

    async def on_body_complete(self) -> None:
        """201 with the video; the work on it has begun. An upload takes long: the right to it may be gone by now."""
        assert self.form is not None
        await asyncio.to_thread(self.form.close)
        new = self._read_form(self.form)
        await asyncio.to_thread(self.services.uploads.sync_to_disk, self.upload_path)
        await self.services.accounts.require_admin(self.identity)
        video = await self.services.catalogue.import_upload(new, self.upload_path, safe_suffix(self.form.file_name))
        self.respond(await self.admin_view(video), 201)

    def _read_form(self, form: MultipartForm) -> NewVideo:
        if not form.is_complete:
            raise BadRequest("The form is not complete: its last boundary is missing.")
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
        """The file's name goes at once. Its blocks are freed when it is closed, which takes seconds for gigabytes."""
        form, self.form = self.form, None
        if form is not None:
            await asyncio.to_thread(self.upload_path.unlink, missing_ok=True)
            self.run_beside(_closed(form, self.upload_path))


class AdminVideoHandler(AdminHandler):
    """GET, PATCH and DELETE /api/admin/videos/<id>/."""

    async def get(self, video_id: str) -> None:
        """The video with its state."""
        self.respond(await self.admin_view(await self.services.catalogue.get(int(video_id))))

    async def patch(self, video_id: str) -> None:
        """Change title, description or category."""
        texts = self.parse_body(VideoPatch).model_dump(exclude_unset=True)
        self.respond(await self.admin_view(await self.services.catalogue.update(int(video_id), texts)))

    async def delete(self, video_id: str) -> None:
        """Remove the video and every file of it."""
        await self.services.catalogue.delete(int(video_id))
        self.respond({"detail": "Video deleted."})


class RetryHandler(AdminHandler):
    """POST /api/admin/videos/<id>/retry/: another chance for a video that failed."""

    async def post(self, video_id: str) -> None:
        """The video, in work again."""
        self.respond(await self.admin_view(await self.services.catalogue.retry(int(video_id))))


class CancelHandler(AdminHandler):
    """POST /api/admin/videos/<id>/cancel/: stop the work; the video stays, as one that failed."""

    async def post(self, video_id: str) -> None:
        """The video; nothing works on it any more."""
        self.respond(await self.admin_view(await self.services.catalogue.cancel(int(video_id))))


class JobsHandler(AdminHandler):
    """GET /api/admin/jobs/: what the engine is doing and what became of it."""

    async def get(self) -> None:
        """An object, so that more can be said one day."""
        self.respond({"jobs": list(await self.services.engine.jobs())})


def admin_video(video: Video, progress: JobProgress | None) -> Mapping[str, object]:
    """A video as admins see it."""
    is_ready, in_work = video.status is VideoStatus.READY, video.status is VideoStatus.PROCESSING
    return {
        "id": video.id,
        "title": video.title,
        "description": video.description,
        "category": video.category,
        "created_at": isoformat(video.created_at),
        "status": video.status.value,
        "playable": video.is_playable,
        "progress": 100 if is_ready else min(99, int(progress.percent)) if progress else 0,
        "seconds_left": progress.seconds_left if progress and in_work else None,
        "waits_for": (progress.waits_for or None) if progress and in_work else None,
        "error": video.error,
        "warning": video.warnings,
        "may_be_retried": video.may_be_retried,
    }


def _to_service_error(error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InsufficientStorage("The disk is full.")
    return error


async def _closed(form: MultipartForm, path: Path) -> None:
    await asyncio.get_running_loop().run_in_executor(_CLOSING, _close, form, path)


def _close(form: MultipartForm, path: Path) -> None:
    """A thread that wrote meanwhile may have made the file anew."""
    form.close()
    path.unlink(missing_ok=True)
