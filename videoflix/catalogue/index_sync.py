"""Keeps the video index of this process up to date, and caches the complete list as bytes.

Each process receives a message for every change and reloads that video. Messages can be lost while Redis is down, so
the whole index is reloaded in the background after a gap, and when it has become old.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog
from cachetools import LRUCache

from transcode import Engine
from videoflix.catalogue.index import Row, VideoIndex, encode_array
from videoflix.errors import NotFound
from videoflix.models import ListedVideo
from videoflix.stores.errors import is_outage
from videoflix.stores.videos import VideoStore

_log = structlog.get_logger(__name__)

MAX_AGE_S = 30.0  # after which the index is reloaded, in case a message was lost
_MAX_RELOAD_TIME_SHARE = 0.02  # of the time may be spent on reloads; a large catalogue is reloaded less often
_RETRY_DELAY_S = 1.0  # after a reload that failed
_LOAD_SLICE_SIZE = 32  # videos that are indexed before other coroutines get a turn
_MAX_INLINE_ROWS = 200  # up to which encoding is faster than the switch to a thread
_MAX_CACHED_BASE_URLS = 4  # usually there is one


@dataclass(frozen=True, slots=True)
class EncodedList:
    """A list of videos as JSON."""

    body: bytes
    total: int  # number of videos
    etag: str  # the same in every process


class IndexSync:
    """The video index of a process. It loads nothing and subscribes to nothing before its first use."""

    def __init__(self, videos: VideoStore, engine: Engine, max_age_s: float = MAX_AGE_S) -> None:
        self._videos = videos
        self._engine = engine
        self._max_age_s = max_age_s
        self._index = VideoIndex()
        self._is_loaded = False
        self._reload_at = 0.0  # when it is reloaded in the background, by time.monotonic()
        self._block_on_reload_at = 0.0  # when requests wait for the reload
        self._reload_task: asyncio.Task[None] | None = None
        self._refreshed_during_reload: set[int] = set()
        self._is_reload_needed = False
        self._changed_ids: set[int] = set()
        self._refresh_task: asyncio.Task[None] | None = None
        self._refresh_lock = asyncio.Lock()
        self._encoded_lists: LRUCache[str, tuple[int, EncodedList]] = LRUCache(_MAX_CACHED_BASE_URLS)
        self._encode_lock = asyncio.Lock()
        self._is_closed = False

    async def close(self) -> None:
        """Stop all reloads. Idempotent."""
        self._is_closed = True
        for task in (self._reload_task, self._refresh_task):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def get_index(self) -> VideoIndex:
        """Return the index. Waits for the database on first use, and when the index has not been used for long."""
        if self._reload_task is None:
            self._engine.on_video_changed(self._on_video_changed)
            self._engine.on_missed_changes(self._request_reload)
        now = time.monotonic()
        if now >= self._reload_at and (self._reload_task is None or self._reload_task.done()):
            self._reload_task = self._start_reload()
        if now >= self._block_on_reload_at:
            assert self._reload_task is not None
            await asyncio.shield(self._reload_task)
        return self._index

    async def get(self, video_id: int) -> ListedVideo:
        """Return a playable video. Raises NotFound."""
        video = (await self.get_index()).get(video_id)
        if video is None:  # it may just have become playable
            await self.refresh({video_id})
            video = self._index.get(video_id)
        if video is None:
            raise NotFound
        return video

    async def get_encoded_list(self, base_url: str) -> EncodedList:
        """Return all playable videos, newest first. `base_url` is the URL that clients use, such as `https://host`."""
        index = await self.get_index()
        if cached := self._get_cached_list(base_url):
            return cached
        async with self._encode_lock:
            if cached := self._get_cached_list(base_url):
                return cached
            version, rows = index.version, index.rows_newest_first()
            encoded = await encode_list(rows, base_url)
            self._encoded_lists[base_url] = version, encoded
            return encoded

    def _get_cached_list(self, base_url: str) -> EncodedList | None:
        version, encoded = self._encoded_lists.get(base_url, (None, None))
        return encoded if version == self._index.version else None

    async def refresh(self, video_ids: Collection[int]) -> None:
        """Reload these videos from the database."""
        if self._reload_task is None:
            return  # nothing has been loaded yet
        async with self._refresh_lock:  # a later read must not be overwritten by an earlier one
            self._refreshed_during_reload.update(video_ids)
            videos = {video.id: video async for video in self._videos.iter_playable(video_ids)}
            for video_id in video_ids:
                if video_id in videos:
                    self._index.put(videos[video_id])
                else:
                    self._index.discard(video_id)

    def _on_video_changed(self, video_id: int) -> None:
        self._changed_ids.add(video_id)
        if not self._is_closed and (self._refresh_task is None or self._refresh_task.done()):
            self._refresh_task = asyncio.create_task(self._refresh_changed())

    async def _refresh_changed(self) -> None:
        while self._changed_ids:
            video_ids, self._changed_ids = self._changed_ids, set()
            try:
                await self.refresh(video_ids)
            except Exception as error:  # drivers raise errors of many kinds
                _log.warning(
                    "index_refresh_failed", videos=len(video_ids), error=str(error), exc_info=not is_outage(error)
                )
                self._request_reload()

    def _request_reload(self) -> None:
        self._is_reload_needed = True
        if not self._is_closed and (self._reload_task is None or self._reload_task.done()):
            self._reload_task = self._start_reload()

    def _start_reload(self) -> asyncio.Task[None]:
        reload_task = asyncio.create_task(self._reload())
        reload_task.add_done_callback(lambda task: task.cancelled() or task.exception())  # it may not be awaited
        return reload_task

    async def _reload(self) -> None:
        """Load everything, and again if messages may have been missed meanwhile. Only the first load may raise."""
        started_at = time.monotonic()
        self._reload_at = started_at + _RETRY_DELAY_S
        self._is_reload_needed = True
        try:
            while self._is_reload_needed:
                self._is_reload_needed = False
                await self._load_all()
        except Exception as error:  # drivers raise errors of many kinds
            if not self._is_loaded:
                raise
            _log.warning("index_reload_failed", error=str(error), exc_info=not is_outage(error))
            self._block_on_reload_at = math.inf  # an old list is better than none
            return
        self._is_loaded = True
        max_age_s = max(self._max_age_s, (time.monotonic() - started_at) / _MAX_RELOAD_TIME_SHARE)
        self._reload_at = started_at + max_age_s
        self._block_on_reload_at = started_at + 2 * max_age_s

    async def _load_all(self) -> None:
        """Load all videos, except those that are refreshed meanwhile: their data is newer."""
        self._refreshed_during_reload.clear()
        loaded_ids = set()
        async for video in self._videos.iter_playable():
            loaded_ids.add(video.id)
            if video.id not in self._refreshed_during_reload:
                self._index.put(video)
            if len(loaded_ids) % _LOAD_SLICE_SIZE == 0:
                await asyncio.sleep(0)
        for video_id in set(self._index.ids()) - loaded_ids - self._refreshed_during_reload:
            self._index.discard(video_id)


async def encode_list(rows: Sequence[Row], base_url: str) -> EncodedList:
    """Return the rows as JSON; long lists are encoded in a thread."""
    if len(rows) <= _MAX_INLINE_ROWS:
        return _encode_list(rows, base_url)
    return await asyncio.to_thread(_encode_list, rows, base_url)


def _encode_list(rows: Sequence[Row], base_url: str) -> EncodedList:
    body = encode_array(rows, base_url)
    return EncodedList(body, len(rows), f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"')
