"""The engine's repository of videos, over MongoDB."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

import structlog

from transcode import (
    NOTHING_OMITTED,
    Ledger,
    LedgerUnavailable,
    Omissions,
    Presentation,
    RepositoryUnavailable,
    VideoRecord,
)
from videoflix.errors import NotFound
from videoflix.models import Video, VideoStatus
from videoflix.stores.errors import is_outage
from videoflix.stores.file_journal import FileJournalStore
from videoflix.stores.videos import VideoStore

_log = structlog.get_logger(__name__)


class MongoVideoRepository:
    """Implements `transcode.VideoRepository` over the collection of videos.

    Every method raises RepositoryUnavailable while the database is unavailable. Presentations are stored as JSON and
    decoded here, once.
    """

    def __init__(self, videos: VideoStore, journal: FileJournalStore, ledger: Ledger) -> None:
        self._videos = videos
        self._journal = journal
        self._ledger = ledger

    async def get(self, video_id: int) -> VideoRecord | None:
        """Return what is final of a video, or None if it does not exist."""
        with _translate_outage():
            try:
                video = await self._videos.get(video_id)
            except NotFound:
                return None
        return _to_record(video)

    async def list_unfinished(self) -> list[int]:
        """Return the ids of all videos that are being transcoded or should be."""
        with _translate_outage():
            return await self._videos.list_processing()

    async def list_finished_after(self, video_id: int, limit: int) -> list[VideoRecord]:
        """Return the next ready videos in the order of their ids.

        A video whose presentation cannot be decoded is logged and left out, so that it affects no other video.
        """
        with _translate_outage():
            while videos := await self._videos.list_ready_after(video_id, limit):
                if records := list(_decode_all(videos)):
                    return records
                video_id = videos[-1].id
        return []

    async def list_deleted(self) -> list[tuple[int, str]]:
        """Return the ids and sources of recently deleted videos.

        A crash between journal entry and deletion leaves the video in place; such a video is not returned, because
        its files must stay.
        """
        with _translate_outage():
            entries = await self._journal.list_all()
            existing_ids = await self._videos.filter_existing([video_id for video_id, _ in entries])
        return [(video_id, source) for video_id, source in entries if video_id not in existing_ids]

    async def set_presentation(self, video_id: int, presentation: Presentation) -> None:
        """Store the result of the probe, which makes the video playable. An earlier presentation is kept."""
        with _translate_outage():
            await self._videos.set_presentation(
                video_id,
                presentation.as_json(),
                presentation.rendition_names,
                presentation.segment_count,
                presentation.duration,
                presentation.warning or None,
            )
        _log.info("video_playable", video_id=video_id, duration_s=round(presentation.duration))
        await self._publish_change(video_id)

    async def mark_task_done(self, video_id: int, kind: str, index: int, result: Mapping[str, object]) -> None:
        """Record that a chunk, or a task that runs once for each video, is done."""
        with _translate_outage():
            if kind == "chunk":
                await self._videos.mark_chunk_done(video_id, index)
            else:
                await self._videos.mark_task_done(video_id, kind, result)

    async def mark_missing(self, video_id: int, chunks: Collection[int], kinds: Collection[str]) -> None:
        """Record that these chunks and tasks, and the final task, must run again. A ready video stays ready."""
        with _translate_outage():
            await self._videos.unmark_done(video_id, chunks, [*kinds, "finish"])

    async def mark_finished(
        self, video_id: int, result: Mapping[str, object], omissions: Omissions = NOTHING_OMITTED
    ) -> None:
        """Record that everything is done but the omissions, unless the video was cancelled or deleted meanwhile."""
        await self.set_omissions(video_id, omissions)
        with _translate_outage():
            is_ready = await self._videos.set_ready(video_id, result)
        if is_ready:
            _log.info("video_ready", video_id=video_id, omissions=sorted(omissions.sentences))
        await self._publish_change(video_id)

    async def mark_ready_without(self, video_id: int, omissions: Omissions) -> None:
        """Make a video ready as it is: all its segments are done, but the end of the work failed."""
        await self.set_omissions(video_id, omissions)
        with _translate_outage():
            await self._videos.set_ready_as_it_is(video_id)
        await self._publish_change(video_id)

    async def set_omissions(self, video_id: int, omissions: Omissions) -> None:
        """Record what the video is published without, and how often it was tried again."""
        with _translate_outage():
            await self._videos.set_omissions(video_id, omissions.sentences, omissions.tries, omissions.tried_at)

    async def mark_failed(self, video_id: int, message: str) -> None:
        """Record that the video cannot be transcoded; the message says why."""
        with _translate_outage():
            if await self._videos.set_failed(video_id, message):
                _log.warning("video_failed", video_id=video_id, reason=message)
        await self._publish_change(video_id)

    async def _publish_change(self, video_id: int) -> None:
        """Notify web processes, which cache videos. They notice a change without a message after a while, too."""
        try:
            await self._ledger.publish_video_changed(video_id)
        except LedgerUnavailable as error:
            _log.warning("change_not_published", video_id=video_id, error=str(error))


@contextmanager
def _translate_outage() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_outage(error):
            raise RepositoryUnavailable(str(error)) from error
        raise


def _decode_all(videos: Iterable[Video]) -> Iterator[VideoRecord]:
    for video in videos:
        try:
            yield _to_record(video)
        except (LookupError, TypeError, ValueError):
            _log.exception("video_unreadable", video_id=video.id)


def _to_record(video: Video) -> VideoRecord:
    done = video.tasks_done
    if "storyboard" in video.task_results.get("finish", {}):  # of an older version, whose last task made all of it
        done |= {"iframes", "storyboard"}
    return VideoRecord(
        video_id=video.id,
        source=video.source,
        presentation=Presentation.from_json(video.presentation) if video.presentation else None,
        chunks_done=video.chunks_done,
        tasks_done=done,
        is_failed=video.status is VideoStatus.FAILED,
        task_results=video.task_results,
        omissions=Omissions(video.omissions, video.tries, video.tried_at),
    )
