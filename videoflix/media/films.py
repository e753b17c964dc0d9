"""What serving has to know of a film, kept in memory: no request for a segment asks the database.

A film is loaded when it is first asked for. A message that it changed loads it again, and so does its age, because
messages may be lost: a film that is being watched is right a moment after each change, and when no message comes, a few
seconds later. While the database does not answer nothing can change in it, so what is known goes on being served.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

from videoflix.errors import NotFound
from videoflix.media.names import RESOLUTIONS
from videoflix.models import Video, VideoStatus
from videoflix.stores.videos import VideoStore

_log = logging.getLogger(__name__)

_FRESH = 5.0  # seconds; what is older is served once more and loaded again meanwhile
_STALE = 30.0  # seconds; what is older is not served
_MOST = 10_000  # films that are kept


@dataclass(frozen=True, slots=True)
class Film:
    """The part of a video that serving needs."""

    id: int
    renditions: tuple[str, ...]  # smallest first
    segments: int  # of each rendition
    is_playable: bool
    is_done: bool  # nothing that is published of it changes any more

    def rendition(self, resolution: str) -> str:
        """What is served under this name: above the size of a smaller source, the largest there is. Raises NotFound."""
        if resolution in self.renditions:
            return resolution
        if resolution in RESOLUTIONS and self.renditions:
            return self.renditions[-1]
        raise NotFound


@dataclass(slots=True)
class _Entry:
    film: Film | None  # None: there is no such film
    loaded: float


class Films:
    """One per web process."""

    def __init__(self, videos: VideoStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._videos = videos
        self._clock = clock
        self._entries: LRUCache[int, _Entry] = LRUCache(_MOST)
        self._loading: dict[int, asyncio.Task[_Entry]] = {}
        self._tasks: set[asyncio.Task[_Entry]] = set()

    def at_hand(self, video_id: int) -> Film | None:
        """A playable film that is known; None when `get` has to be asked. Never waits."""
        entry = self._entries.get(video_id)
        if entry is None:
            return None
        age = self._clock() - entry.loaded
        if age > _STALE or entry.film is None:
            return None
        if age > _FRESH:
            self._load(video_id)
        return entry.film if entry.film.is_playable else None

    async def get(self, video_id: int) -> Film:
        """Also a film that cannot be played yet. Raises NotFound, and what the database raises for an unknown film."""
        entry = self._entries.get(video_id)
        if entry is None or self._clock() - entry.loaded > _FRESH:
            entry = await self._loaded(video_id)
        if entry.film is None:
            raise NotFound
        return entry.film

    def changed(self, video_id: int) -> None:
        """Load it again when it is known; what is being loaded at this moment may be older than the message."""
        entry, running = self._entries.get(video_id), self._loading.pop(video_id, None)
        if entry is not None:
            entry.loaded = min(entry.loaded, self._clock() - _FRESH)
        if entry is not None or running is not None:
            self._load(video_id)

    async def close(self) -> None:
        """End what is still being loaded."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _loaded(self, video_id: int) -> _Entry:
        try:
            return await asyncio.shield(self._load(video_id))
        except Exception:  # whatever the driver raises
            known = self._entries.get(video_id)
            if known is None:
                raise
            return known

    def _load(self, video_id: int) -> asyncio.Task[_Entry]:
        task = self._loading.get(video_id)
        if task is None:
            task = self._loading[video_id] = asyncio.ensure_future(self._read(video_id))
            self._tasks.add(task)
            task.add_done_callback(self._over)
        return task

    async def _read(self, video_id: int) -> _Entry:
        task = asyncio.current_task()
        try:
            film: Film | None = _film(await self._videos.get(video_id))
        except NotFound:
            film = None
        except Exception as error:  # whatever the driver raises
            _log.warning("film not loaded film=%d error=%s", video_id, error)
            self._keep_alive(video_id)
            raise
        finally:
            is_latest = self._loading.get(video_id) is task
            if is_latest:
                del self._loading[video_id]
        entry = _Entry(film, self._clock())
        if is_latest or video_id not in self._entries:
            self._entries[video_id] = entry
        return entry

    def _over(self, task: asyncio.Task[_Entry]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # logged already; perhaps nobody waited for it

    def _keep_alive(self, video_id: int) -> None:
        """The database did not answer: try again with the next request, and serve what is known until then."""
        if entry := self._entries.get(video_id):
            entry.loaded = self._clock() - _FRESH


def _film(video: Video) -> Film:
    return Film(video.id, video.renditions, video.segments, video.playable, video.status is VideoStatus.READY)
