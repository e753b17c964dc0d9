"""What admins do: put films in, look after them and the work on them."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

from handlers.base import ApiHandler
from handlers.bodies import VideoTexts
from handlers.http.multipart import MultipartForm
from handlers.streamed_body import StreamedBodyHandler
from videoflix.errors import BadRequest, FieldErrors, InsufficientStorage
from videoflix.models import NewVideo, Video, VideoStatus, isoformat
from videoflix.ports import Work
from videoflix.uploads import suffix_of, title_of

# One thread of their own: broken-off uploads must not take those that everybody's requests need.
_CLOSING = ThreadPoolExecutor(1, thread_name_prefix="closing")


class AdminHandler(ApiHandler):
    """For admins only."""

    metrics_label = "admin"
    admins_only = True

    async def shown(self, video: Video) -> Mapping[str, object]:
        """A video with its state, as admins see it."""
        work = await self.services.catalogue.work([video])
        return administered(video, work.get(video.id, Work()))


class AdminVideosHandler(AdminHandler, StreamedBodyHandler):
    """GET and POST /api/admin/videos/: all videos; take in a film."""

    form: MultipartForm | None = None
    _fields: ClassVar[tuple[str, ...]] = ("title", "description", "category")

    async def prepare(self) -> None:
        """The right is checked and the room is found before a byte of the film is read."""
        await super().prepare()
        if self.request.method == "POST":
            size = int(self.request.headers.get("Content-Length") or 0)
            self.path = await asyncio.to_thread(self.services.uploads.place, size)
            self.form = MultipartForm(
                self.request.headers.get("Content-Type", ""), "file", self.path, check=self._described
            )

    async def take(self, pieces: Sequence[bytes]) -> None:
        """Write them, by a thread."""
        if self.form is not None:
            self.services.accounts.require_living(self.identity)
            try:
                await asyncio.to_thread(self._write, self.form, pieces)
            except OSError as error:
                raise _as_answer(error) from error

    def _write(self, form: MultipartForm, pieces: Sequence[bytes]) -> None:
        self.services.uploads.require_room(sum(map(len, pieces)), form.size)
        for piece in pieces:
            form.feed(piece)

    async def get(self) -> None:
        """Every video, newest first, also those that failed."""
        videos = await self.services.catalogue.all()
        work = await self.services.catalogue.work(videos)
        self.answer([administered(video, work.get(video.id, Work())) for video in videos])

    async def taken(self) -> None:
        """201 with the video; the work on it has begun. An upload takes long: the right to it may be gone by now."""
        assert self.form is not None
        await asyncio.to_thread(self.form.close)
        new = self._checked(self.form)
        await asyncio.to_thread(self.services.uploads.secure, self.path)
        await self.services.accounts.require_admin(self.identity)
        video = await self.services.catalogue.take_in(new, self.path, suffix_of(self.form.file_name))
        self.answer(await self.shown(video), 201)

    def _checked(self, form: MultipartForm) -> NewVideo:
        if not form.is_complete:
            raise BadRequest("The form is not complete: its last boundary is missing.")
        if not form.file_size:
            missing = "No file was submitted." if form.file_size is None else "The submitted file is empty."
            raise FieldErrors({"file": [missing]})
        return self._described(form)

    def _described(self, form: MultipartForm) -> NewVideo:
        """By the texts that came so far: nobody should hear after fifty gigabytes that the title is too long."""
        given = {name: form.fields[name] for name in self._fields if name in form.fields}
        return self.services.catalogue.check(NewVideo(**{"title": title_of(form.file_name), **given}))

    async def discard(self) -> None:
        """The file's name goes at once. Its blocks are freed when it is closed, which takes seconds for gigabytes."""
        form, self.form = self.form, None
        if form is not None:
            await asyncio.to_thread(self.path.unlink, missing_ok=True)
            self.run_beside(_closed(form, self.path))


class AdminVideoHandler(AdminHandler):
    """GET, PATCH and DELETE /api/admin/videos/<id>/."""

    async def get(self, video_id: str) -> None:
        """The video with its state."""
        self.answer(await self.shown(await self.services.catalogue.get(int(video_id))))

    async def patch(self, video_id: str) -> None:
        """Change title, description or category."""
        texts = self.body_as(VideoTexts).model_dump(exclude_unset=True)
        self.answer(await self.shown(await self.services.catalogue.change(int(video_id), texts)))

    async def delete(self, video_id: str) -> None:
        """Remove the video and every file of it."""
        await self.services.catalogue.delete(int(video_id))
        self.answer({"detail": "Video deleted."})


class RetryHandler(AdminHandler):
    """POST /api/admin/videos/<id>/retry/: another chance for a video that failed."""

    async def post(self, video_id: str) -> None:
        """The video, in work again."""
        self.answer(await self.shown(await self.services.catalogue.retry(int(video_id))))


class CancelHandler(AdminHandler):
    """POST /api/admin/videos/<id>/cancel/: stop the work; the video stays, as one that failed."""

    async def post(self, video_id: str) -> None:
        """The video; nothing works on it any more."""
        self.answer(await self.shown(await self.services.catalogue.cancel(int(video_id))))


class JobsHandler(AdminHandler):
    """GET /api/admin/jobs/: what the engine is doing and what became of it."""

    async def get(self) -> None:
        """An object, so that more can be said one day."""
        self.answer({"jobs": list(await self.services.engine.jobs())})


def administered(video: Video, work: Work) -> Mapping[str, object]:
    """A video as admins see it."""
    is_ready, in_work = video.status is VideoStatus.READY, video.status is VideoStatus.PROCESSING
    return {
        "id": video.id,
        "title": video.title,
        "description": video.description,
        "category": video.category,
        "created_at": isoformat(video.created_at),
        "status": video.status.value,
        "playable": video.playable,
        "progress": 100 if is_ready else min(99, int(work.percent)),
        "seconds_left": work.seconds_left if in_work else None,
        "waits_for": (work.waits_for or None) if in_work else None,
        "error": video.error,
        "warning": video.warnings,
        "may_be_retried": video.may_be_retried,
    }


def _as_answer(error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InsufficientStorage("The disk is full.")
    return error


async def _closed(form: MultipartForm, path: Path) -> None:
    await asyncio.get_running_loop().run_in_executor(_CLOSING, _close, form, path)


def _close(form: MultipartForm, path: Path) -> None:
    """A thread that wrote meanwhile may have made the file anew."""
    form.close()
    path.unlink(missing_ok=True)
