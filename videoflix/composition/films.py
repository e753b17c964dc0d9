"""Tells the catalogue what the engine did, and the engine what the catalogue holds."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from transcode.book import NOTHING_OMITTED, BookAway, FilmEntry, Omissions
from transcode.ledger import Ledger, LedgerUnavailable
from transcode.timeline import Timeline
from videoflix.errors import NotFound
from videoflix.models import Video, VideoStatus
from videoflix.stores.deletions import DeletionStore
from videoflix.stores.outages import is_outage
from videoflix.stores.videos import VideoStore

_log = logging.getLogger(__name__)


class CatalogueBook:
    """The engine's `FilmBook` over the collection of videos."""

    def __init__(self, videos: VideoStore, deletions: DeletionStore, ledger: Ledger) -> None:
        self._videos = videos
        self._deletions = deletions
        self._ledger = ledger

    async def entry(self, film: int) -> FilmEntry | None:
        """What is final of a film; None when it was deleted."""
        with _answered():
            try:
                video = await self._videos.get(film)
            except NotFound:
                return None
        return _entry(video)

    async def unfinished(self) -> list[int]:
        """Films that are in work, or should be."""
        with _answered():
            return await self._videos.in_work()

    async def finished_after(self, film: int, limit: int) -> list[FilmEntry]:
        """The next films that are ready, by their numbers."""
        with _answered():
            videos = await self._videos.ready_after(film, limit)
        return [_entry(video) for video in videos]

    async def deleted(self) -> list[tuple[int, str]]:
        """Films that were deleted not long ago, with their sources.

        A crash between the announcement and the deletion leaves a film, which nothing may be taken of.
        """
        with _answered():
            announced = await self._deletions.all()
            living = await self._videos.existing([film for film, _ in announced])
        return [(film, source) for film, source in announced if film not in living]

    async def probed(self, film: int, timeline: Mapping[str, object]) -> None:
        """The film can be played from here on. What was told first stays."""
        known = Timeline.from_json(dict(timeline))
        with _answered():
            await self._videos.set_timeline(
                film, timeline, known.rendition_names, known.segments, known.duration, known.warning or None
            )
        _log.info("film_playable film=%d seconds=%.0f", film, known.duration)
        await self._tell(film)

    async def task_done(self, film: int, kind: str, index: int, result: Mapping[str, object]) -> None:
        """A chunk, or a task that a film has once, is final."""
        with _answered():
            if kind == "chunk":
                await self._videos.add_chunk(film, index)
            else:
                await self._videos.add_kind(film, kind, result)

    async def lost(self, film: int, chunks: Collection[int], kinds: Collection[str]) -> None:
        """These are not final any more, nor is the end of the work; a film that is ready stays it meanwhile."""
        with _answered():
            await self._videos.remove_done(film, chunks, [*kinds, "finish"])

    async def finished(self, film: int, result: Mapping[str, object], omissions: Omissions = NOTHING_OMITTED) -> None:
        """Everything is final but what the film is published without, unless it was cancelled or deleted meanwhile."""
        await self.set_omissions(film, omissions)
        with _answered():
            is_ready = await self._videos.set_ready(film, result)
        if is_ready:
            _log.info("film_ready film=%d without=%s", film, ",".join(omissions.sentences))
        await self._tell(film)

    async def ready_without(self, film: int, omissions: Omissions) -> None:
        """Every segment is final, but the end of the work failed: publish the film as it is."""
        await self.set_omissions(film, omissions)
        with _answered():
            await self._videos.set_ready_as_it_is(film)
        await self._tell(film)

    async def set_omissions(self, film: int, omissions: Omissions) -> None:
        """Remember what the film is published without, and how often it was tried again."""
        with _answered():
            await self._videos.set_omissions(film, omissions.sentences, omissions.tries, omissions.tried_at)

    async def failed(self, film: int, sentence: str) -> None:
        """The film cannot be made; the sentence says why."""
        with _answered():
            if await self._videos.set_failed(film, sentence):
                _log.warning("film_failed film=%d: %s", film, sentence)
        await self._tell(film)

    async def _tell(self, film: int) -> None:
        """Web processes hold lists of films; one that cannot be told looks for itself after a while."""
        try:
            await self._ledger.film_changed(film)
        except LedgerUnavailable as error:
            _log.warning("change_untold film=%d error=%s", film, error)


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_outage(error):
            raise BookAway(str(error)) from error
        raise


def _entry(video: Video) -> FilmEntry:
    done = video.kinds_done
    if "storyboard" in video.facts.get("finish", {}):  # of an older version, whose last task made all of it
        done |= {"iframes", "storyboard"}
    return FilmEntry(
        film=video.id,
        source=video.source,
        timeline=dict(video.timeline) if video.timeline else None,
        chunks_done=video.chunks_done,
        done_kinds=done,
        failed=video.status is VideoStatus.FAILED,
        results=video.facts,
        omissions=Omissions(video.omissions, video.tries, video.tried_at),
    )
