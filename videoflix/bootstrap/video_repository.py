"""Tells the catalogue what the engine did, and the engine what the catalogue holds."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from transcode.ledger import Ledger, LedgerUnavailable
from transcode.presentation import Presentation
from transcode.repository import NOTHING_OMITTED, Omissions, RepositoryUnavailable, VideoRecord
from videoflix.errors import NotFound
from videoflix.models import Video, VideoStatus
from videoflix.stores.errors import is_outage
from videoflix.stores.file_journal import FileJournalStore
from videoflix.stores.videos import VideoStore

_log = logging.getLogger(__name__)


class MongoVideoRepository:
    """The engine's `FilmBook` over the collection of videos."""

    def __init__(self, videos: VideoStore, journal: FileJournalStore, ledger: Ledger) -> None:
        self._videos = videos
        self._journal = journal
        self._ledger = ledger

    async def get(self, video_id: int) -> VideoRecord | None:
        """What is final of a film; None when it was deleted."""
        with _translate_outage():
            try:
                video = await self._videos.get(video_id)
            except NotFound:
                return None
        return _to_record(video)

    async def list_unfinished(self) -> list[int]:
        """Films that are in work, or should be."""
        with _translate_outage():
            return await self._videos.list_processing()

    async def list_finished_after(self, video_id: int, limit: int) -> list[VideoRecord]:
        """The next films that are ready, by their numbers."""
        with _translate_outage():
            videos = await self._videos.list_ready_after(video_id, limit)
        return [_to_record(video) for video in videos]

    async def list_deleted(self) -> list[tuple[int, str]]:
        """Films that were deleted not long ago, with their sources.

        A crash between the announcement and the deletion leaves a film, which nothing may be taken of.
        """
        with _translate_outage():
            announced = await self._journal.list_all()
            living = await self._videos.filter_existing([film for film, _ in announced])
        return [(film, source) for film, source in announced if film not in living]

    async def set_presentation(self, video_id: int, presentation: Mapping[str, object]) -> None:
        """The film can be played from here on. What was told first stays."""
        known = Presentation.from_json(dict(presentation))
        with _translate_outage():
            await self._videos.set_presentation(
                video_id,
                presentation,
                known.rendition_names,
                known.segment_count,
                known.duration,
                known.warning or None,
            )
        _log.info("film_playable film=%d seconds=%.0f", video_id, known.duration)
        await self._publish_change(video_id)

    async def mark_task_done(self, video_id: int, kind: str, index: int, result: Mapping[str, object]) -> None:
        """A chunk, or a task that a film has once, is final."""
        with _translate_outage():
            if kind == "chunk":
                await self._videos.mark_chunk_done(video_id, index)
            else:
                await self._videos.mark_task_done(video_id, kind, result)

    async def mark_missing(self, video_id: int, chunks: Collection[int], kinds: Collection[str]) -> None:
        """These are not final any more, nor is the end of the work; a film that is ready stays it meanwhile."""
        with _translate_outage():
            await self._videos.unmark_done(video_id, chunks, [*kinds, "finish"])

    async def mark_finished(
        self, video_id: int, result: Mapping[str, object], omissions: Omissions = NOTHING_OMITTED
    ) -> None:
        """Everything is final but what the film is published without, unless it was cancelled or deleted meanwhile."""
        await self.set_omissions(video_id, omissions)
        with _translate_outage():
            is_ready = await self._videos.set_ready(video_id, result)
        if is_ready:
            _log.info("film_ready film=%d without=%s", video_id, ",".join(omissions.sentences))
        await self._publish_change(video_id)

    async def mark_ready_without(self, film: int, omissions: Omissions) -> None:
        """Every segment is final, but the end of the work failed: publish the film as it is."""
        await self.set_omissions(film, omissions)
        with _translate_outage():
            await self._videos.set_ready_as_it_is(film)
        await self._publish_change(film)

    async def set_omissions(self, film: int, omissions: Omissions) -> None:
        """Remember what the film is published without, and how often it was tried again."""
        with _translate_outage():
            await self._videos.set_omissions(film, omissions.sentences, omissions.tries, omissions.tried_at)

    async def mark_failed(self, video_id: int, message: str) -> None:
        """The film cannot be made; the sentence says why."""
        with _translate_outage():
            if await self._videos.set_failed(video_id, message):
                _log.warning("film_failed film=%d: %s", video_id, message)
        await self._publish_change(video_id)

    async def _publish_change(self, video_id: int) -> None:
        """Web processes hold lists of films; one that cannot be told looks for itself after a while."""
        try:
            await self._ledger.publish_video_changed(video_id)
        except LedgerUnavailable as error:
            _log.warning("change_untold film=%d error=%s", video_id, error)


@contextmanager
def _translate_outage() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_outage(error):
            raise RepositoryUnavailable(str(error)) from error
        raise


def _to_record(video: Video) -> VideoRecord:
    done = video.tasks_done
    if "storyboard" in video.task_results.get("finish", {}):  # of an older version, whose last task made all of it
        done |= {"iframes", "storyboard"}
    return VideoRecord(
        video_id=video.id,
        source=video.source,
        presentation=dict(video.presentation) if video.presentation else None,
        chunks_done=video.chunks_done,
        tasks_done=done,
        is_failed=video.status is VideoStatus.FAILED,
        task_results=video.task_results,
        omissions=Omissions(video.omissions, video.tries, video.tried_at),
    )
