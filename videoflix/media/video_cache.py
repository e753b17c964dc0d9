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
from videoflix.media.published_names import RESOLUTIONS
from videoflix.models import Video, VideoStatus
from videoflix.stores.videos import VideoStore

_log = logging.getLogger(__name__)

_FRESH_S = 5.0  # seconds; what is older is served once more and loaded again meanwhile
_MAX_STALE_S = 30.0  # seconds; what is older is not served
_MAX_CACHED_VIDEOS = 10_000  # films that are kept


@dataclass(frozen=True, slots=True)
class CachedVideo:
    """The part of a video that serving needs."""

    id: int
    renditions: tuple[str, ...]  # smallest first
    segments: int  # of each rendition
    is_playable: bool
    is_final: bool  # nothing that is published of it changes any more

    def resolve_rendition(self, resolution: str) -> str:
        """What is served under this name: above the size of a smaller source, the largest there is. Raises NotFound."""
        if resolution in self.renditions:
            return resolution
        if resolution in RESOLUTIONS and self.renditions:
            return self.renditions[-1]
        raise NotFound


@dataclass(slots=True)
class _CacheEntry:
    video: CachedVideo | None  # None: there is no such film
    loaded_at: float


class VideoCache:
    """One per web process."""

    def __init__(self, videos: VideoStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._videos = videos
        self._clock = clock
        self._entries: LRUCache[int, _CacheEntry] = LRUCache(_MAX_CACHED_VIDEOS)
        self._load_task_by_id: dict[int, asyncio.Task[_CacheEntry]] = {}
        self._tasks: set[asyncio.Task[_CacheEntry]] = set()

    def get_cached(self, video_id: int) -> CachedVideo | None:
        """A playable film that is known; None when `get` has to be asked. Never waits."""
        entry = self._entries.get(video_id)
        if entry is None:
            return None
        age = self._clock() - entry.loaded_at
        if age > _MAX_STALE_S or entry.video is None:
            return None
        if age > _FRESH_S:
            self._start_load(video_id)
        return entry.video if entry.video.is_playable else None

    async def get(self, video_id: int) -> CachedVideo:
        """Also a film that cannot be played yet. Raises NotFound, and what the database raises for an unknown film."""
        entry = self._entries.get(video_id)
        if entry is None or self._clock() - entry.loaded_at > _FRESH_S:
            entry = await self._load_or_stale(video_id)
        if entry.video is None:
            raise NotFound
        return entry.video

    def refresh(self, video_id: int) -> None:
        """Load it again when it is known; what is being loaded at this moment may be older than the message."""
        entry, running = self._entries.get(video_id), self._load_task_by_id.pop(video_id, None)
        if entry is not None:
            entry.loaded_at = min(entry.loaded_at, self._clock() - _FRESH_S)
        if entry is not None or running is not None:
            self._start_load(video_id)

    async def close(self) -> None:
        """End what is still being loaded."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _load_or_stale(self, video_id: int) -> _CacheEntry:
        try:
            return await asyncio.shield(self._start_load(video_id))
        except Exception:  # whatever the driver raises
            known = self._entries.get(video_id)
            if known is None:
                raise
            return known

    def _start_load(self, video_id: int) -> asyncio.Task[_CacheEntry]:
        task = self._load_task_by_id.get(video_id)
        if task is None:
            task = self._load_task_by_id[video_id] = asyncio.ensure_future(self._fetch(video_id))
            self._tasks.add(task)
            task.add_done_callback(self._on_load_done)
        return task

    async def _fetch(self, video_id: int) -> _CacheEntry:
        task = asyncio.current_task()
        try:
            film: CachedVideo | None = _to_cached_video(await self._videos.get(video_id))
        except NotFound:
            film = None
        except Exception as error:  # whatever the driver raises
            _log.warning("film not loaded film=%d error=%s", video_id, error)
            self._postpone_reload(video_id)
            raise
        finally:
            is_latest = self._load_task_by_id.get(video_id) is task
            if is_latest:
                del self._load_task_by_id[video_id]
        entry = _CacheEntry(film, self._clock())
        if is_latest or video_id not in self._entries:
            self._entries[video_id] = entry
        return entry

    def _on_load_done(self, task: asyncio.Task[_CacheEntry]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # logged already; perhaps nobody waited for it

    def _postpone_reload(self, video_id: int) -> None:
        """The database did not answer: try again with the next request, and serve what is known until then."""
        if entry := self._entries.get(video_id):
            entry.loaded_at = self._clock() - _FRESH_S


def _to_cached_video(video: Video) -> CachedVideo:
    return CachedVideo(video.id, video.renditions, video.segments, video.is_playable, video.status is VideoStatus.READY)
