"""Keeps the shelf of this process right, and the whole list ready as bytes.

Every process is told of every change by message and looks up that one video. Messages can be lost with Redis, so
after a gap in them, and when it was not done for a while, everything is read again in the background.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from videoflix.catalogue.index import Row, VideoIndex, encode_array
from videoflix.errors import NotFound
from videoflix.models import ListedVideo
from videoflix.ports import Engine
from videoflix.stores.videos import VideoStore

_log = logging.getLogger(__name__)

MAX_AGE_S = 30.0  # seconds that a change may go unseen when its message was lost
_MAX_RELOAD_TIME_SHARE = (
    0.02  # of the time is the most that reading everything may take, however large the catalogue is
)
_RETRY_DELAY_S = 1.0  # seconds until it is tried again when the database did not answer
_LOAD_SLICE_SIZE = 32  # videos that are taken in before other requests have their turn
_MAX_INLINE_ROWS = 200  # rows that are put together in less time than a thread takes to be asked
_MAX_CACHED_BASE_URLS = 4  # addresses of this server for which the whole list is kept: one is usual


@dataclass(frozen=True, slots=True)
class EncodedList:
    """A list, how many videos it has, and its ETag (the same in every process)."""

    body: bytes
    total: int
    etag: str


class IndexSync:
    """One per process. It reads nothing and listens to nothing before it is first asked."""

    def __init__(self, videos: VideoStore, engine: Engine, max_age_s: float = MAX_AGE_S) -> None:
        self._videos = videos
        self._engine = engine
        self._max_age_s = max_age_s
        self._index = VideoIndex()
        self._is_loaded = False
        self._reload_at = 0.0  # from here on in the background
        self._block_on_reload_at = 0.0  # from here on before anything is answered
        self._reload_task: asyncio.Task[None] | None = None
        self._refreshed_during_reload: set[int] = set()
        self._is_reload_needed = False
        self._changed_ids: set[int] = set()
        self._refresh_task: asyncio.Task[None] | None = None
        self._refresh_lock = asyncio.Lock()
        self._encoded_lists: OrderedDict[str, tuple[int, EncodedList]] = OrderedDict()
        self._encode_lock = asyncio.Lock()
        self._is_closed = False

    async def close(self) -> None:
        """Stop looking. Safe to repeat."""
        self._is_closed = True
        for task in (self._reload_task, self._refresh_task):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def get_index(self) -> VideoIndex:
        """The playable videos. Waits for the database at first, and when nobody has asked for long."""
        if self._reload_task is None:
            self._engine.on_video_changed(self._on_video_changed)
            self._engine.on_missed_changes(self._request_reload)
        moment = time.monotonic()
        if moment >= self._reload_at and (self._reload_task is None or self._reload_task.done()):
            self._reload_task = self._start_reload()
        if moment >= self._block_on_reload_at:
            assert self._reload_task is not None
            await asyncio.shield(self._reload_task)
        return self._index

    async def get(self, video_id: int) -> ListedVideo:
        """A playable video. Raises NotFound."""
        video = (await self.get_index()).get(video_id)
        if video is None:  # perhaps it has just become playable
            await self.refresh({video_id})
            video = self._index.get(video_id)
        if video is None:
            raise NotFound
        return video

    async def get_encoded_list(self, base_url: str) -> EncodedList:
        """Every playable video, newest first; `server`: the address that clients use, such as `https://host`."""
        shelf = await self.get_index()
        if ready := self._get_cached_list(base_url):
            return ready
        async with self._encode_lock:
            if ready := self._get_cached_list(base_url):
                return ready
            version, rows = shelf.version, shelf.rows_newest_first()
            ready = await encode_list(rows, base_url)
            self._encoded_lists[base_url] = version, ready
            if len(self._encoded_lists) > _MAX_CACHED_BASE_URLS:
                self._encoded_lists.popitem(last=False)
            return ready

    def _get_cached_list(self, base_url: str) -> EncodedList | None:
        version, ready = self._encoded_lists.get(base_url, (None, None))
        if version != self._index.version:
            return None
        self._encoded_lists.move_to_end(base_url)
        return ready

    async def refresh(self, video_ids: Collection[int]) -> None:
        """Have these as the database has them now."""
        if self._reload_task is None:
            return  # nothing was read yet, so nothing can be wrong
        async with self._refresh_lock:  # so that what was read later is also put later
            self._refreshed_during_reload.update(video_ids)
            found = {video.id: video async for video in self._videos.iter_playable(video_ids)}
            for video_id in video_ids:
                if video_id in found:
                    self._index.put(found[video_id])
                else:
                    self._index.discard(video_id)

    def _on_video_changed(self, video_id: int) -> None:
        self._changed_ids.add(video_id)
        if not self._is_closed and (self._refresh_task is None or self._refresh_task.done()):
            self._refresh_task = asyncio.create_task(self._refresh_changed())

    async def _refresh_changed(self) -> None:
        while self._changed_ids:
            told, self._changed_ids = self._changed_ids, set()
            try:
                await self.refresh(told)
            except Exception:  # whatever the driver raises
                _log.warning("listing_waits films=%d", len(told), exc_info=True)
                self._request_reload()

    def _request_reload(self) -> None:
        self._is_reload_needed = True
        if not self._is_closed and (self._reload_task is None or self._reload_task.done()):
            self._reload_task = self._start_reload()

    def _start_reload(self) -> asyncio.Task[None]:
        reading = asyncio.create_task(self._reload())
        reading.add_done_callback(lambda task: task.cancelled() or task.exception())  # perhaps nobody waits for it
        return reading

    async def _reload(self) -> None:
        """Everything, and once more when messages may have been missed meanwhile. Raises only before the first time."""
        begun = time.monotonic()
        self._reload_at = begun + _RETRY_DELAY_S
        self._is_reload_needed = True
        try:
            while self._is_reload_needed:
                self._is_reload_needed = False
                await self._load_all()
        except Exception:  # whatever the driver raises
            if not self._is_loaded:
                raise
            _log.warning("listing_is_old", exc_info=True)
            self._block_on_reload_at = math.inf  # better an old list than none
            return
        self._is_loaded = True
        age = max(self._max_age_s, (time.monotonic() - begun) / _MAX_RELOAD_TIME_SHARE)
        self._reload_at = begun + age
        self._block_on_reload_at = begun + 2 * age

    async def _load_all(self) -> None:
        """What is looked up meanwhile is newer than what is read here."""
        self._refreshed_during_reload.clear()
        seen = set()
        async for video in self._videos.iter_playable():
            seen.add(video.id)
            if video.id not in self._refreshed_during_reload:
                self._index.put(video)
            if len(seen) % _LOAD_SLICE_SIZE == 0:
                await asyncio.sleep(0)
        for video_id in set(self._index.ids()) - seen - self._refreshed_during_reload:
            self._index.discard(video_id)


async def encode_list(rows: Sequence[Row], base_url: str) -> EncodedList:
    """The rows as they are sent; many of them are put together beside the event loop."""
    if len(rows) <= _MAX_INLINE_ROWS:
        return _encode_list(rows, base_url)
    return await asyncio.to_thread(_encode_list, rows, base_url)


def _encode_list(rows: Sequence[Row], base_url: str) -> EncodedList:
    body = encode_array(rows, base_url)
    return EncodedList(body, len(rows), f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"')
