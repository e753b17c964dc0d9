"""A cache of what serving needs to know about videos, so that a request for a segment needs no database query.

A video is loaded on first use. It is loaded again after a message that it has changed and, because messages may be
lost, when its entry is a few seconds old. While the database is unavailable nothing can change in it, so cached videos
are still served.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from cachetools import LRUCache

from transcode import RESOLUTIONS
from videoflix.errors import NotFound
from videoflix.models import Video, VideoStatus
from videoflix.stores.videos import VideoStore

_log = structlog.get_logger(__name__)

_FRESH_S = 5.0  # an older entry is still served, but loaded again in the background
_MAX_STALE_S = 30.0  # an older entry is not served
_MAX_CACHED_VIDEOS = 10_000


@dataclass(frozen=True, slots=True)
class CachedVideo:
    """The part of a video that serving uses."""

    id: int
    renditions: tuple[str, ...]  # smallest first
    segments: int  # of each rendition
    is_playable: bool
    is_final: bool  # whether its published files never change again

    def resolve_rendition(self, resolution: str) -> str:
        """Return the rendition for a resolution: the largest one if the source is smaller. Raises NotFound."""
        if resolution in self.renditions:
            return resolution
        if resolution in RESOLUTIONS and self.renditions:
            return self.renditions[-1]
        raise NotFound


@dataclass(slots=True)
class _CacheEntry:
    video: CachedVideo | None  # None: the video does not exist
    loaded_at: float  # by the clock of the cache


class VideoCache:
    """The video cache of a web process."""

    def __init__(self, videos: VideoStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._videos = videos
        self._clock = clock
        self._entries: LRUCache[int, _CacheEntry] = LRUCache(_MAX_CACHED_VIDEOS)
        self._load_task_by_id: dict[int, asyncio.Task[_CacheEntry]] = {}
        self._tasks: set[asyncio.Task[_CacheEntry]] = set()

    def get_cached(self, video_id: int) -> CachedVideo | None:
        """Return a playable video without waiting, or None if `get` has to be called."""
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
        """Return a video, which may not be playable yet. Raises NotFound, and database errors if it is not cached."""
        entry = self._entries.get(video_id)
        if entry is None or self._clock() - entry.loaded_at > _FRESH_S:
            entry = await self._load_or_stale(video_id)
        if entry.video is None:
            raise NotFound
        return entry.video

    def refresh(self, video_id: int) -> None:
        """Reload a video if it is cached or being loaded: a running load may be older than the change."""
        entry, load_task = self._entries.get(video_id), self._load_task_by_id.pop(video_id, None)
        if entry is not None:
            entry.loaded_at = min(entry.loaded_at, self._clock() - _FRESH_S)
        if entry is not None or load_task is not None:
            self._start_load(video_id)

    async def close(self) -> None:
        """Cancel all running loads."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _load_or_stale(self, video_id: int) -> _CacheEntry:
        try:
            return await asyncio.shield(self._start_load(video_id))
        except Exception:  # drivers raise errors of many kinds
            stale_entry = self._entries.get(video_id)
            if stale_entry is None:
                raise
            return stale_entry

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
            video: CachedVideo | None = _to_cached_video(await self._videos.get(video_id))
        except NotFound:
            video = None
        except Exception as error:  # drivers raise errors of many kinds
            _log.warning("video_load_failed", video_id=video_id, error=str(error))
            self._postpone_reload(video_id)
            raise
        finally:
            is_latest = self._load_task_by_id.get(video_id) is task
            if is_latest:
                del self._load_task_by_id[video_id]
        entry = _CacheEntry(video, self._clock())
        if is_latest or video_id not in self._entries:
            self._entries[video_id] = entry
        return entry

    def _on_load_done(self, task: asyncio.Task[_CacheEntry]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # already logged; the task may not be awaited

    def _postpone_reload(self, video_id: int) -> None:
        """Serve the cached video after a failed load, and load it again with the next request."""
        if entry := self._entries.get(video_id):
            entry.loaded_at = self._clock() - _FRESH_S


def _to_cached_video(video: Video) -> CachedVideo:
    return CachedVideo(video.id, video.renditions, video.segments, video.is_playable, video.status is VideoStatus.READY)
