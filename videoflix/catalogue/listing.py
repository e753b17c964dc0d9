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

from videoflix.catalogue.shelf import Row, Shelf, array
from videoflix.errors import NotFound
from videoflix.models import ListedVideo
from videoflix.ports import Engine
from videoflix.stores.videos import VideoStore

_log = logging.getLogger(__name__)

MAX_AGE = 30.0  # seconds that a change may go unseen when its message was lost
_SHARE = 0.02  # of the time is the most that reading everything may take, however large the catalogue is
_AGAIN = 1.0  # seconds until it is tried again when the database did not answer
_SLICE = 32  # videos that are taken in before other requests have their turn
_AT_ONCE = 200  # rows that are put together in less time than a thread takes to be asked
_SERVERS = 4  # addresses of this server for which the whole list is kept: one is usual


@dataclass(frozen=True, slots=True)
class Ready:
    """A list, how many videos it has, and its ETag (the same in every process)."""

    body: bytes
    total: int
    etag: str


class Listing:
    """One per process. It reads nothing and listens to nothing before it is first asked."""

    def __init__(self, videos: VideoStore, engine: Engine, max_age: float = MAX_AGE) -> None:
        self._videos = videos
        self._engine = engine
        self._max_age = max_age
        self._shelf = Shelf()
        self._is_loaded = False
        self._read_again_at = 0.0  # from here on in the background
        self._wait_from = 0.0  # from here on before anything is answered
        self._reading: asyncio.Task[None] | None = None
        self._looked_up_meanwhile: set[int] = set()
        self._may_have_missed = False
        self._told: set[int] = set()
        self._looking_up: asyncio.Task[None] | None = None
        self._one_look = asyncio.Lock()
        self._ready: OrderedDict[str, tuple[int, Ready]] = OrderedDict()
        self._one_build = asyncio.Lock()
        self._is_closed = False

    async def close(self) -> None:
        """Stop looking. Safe to repeat."""
        self._is_closed = True
        for task in (self._reading, self._looking_up):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def shelf(self) -> Shelf:
        """The playable videos. Waits for the database at first, and when nobody has asked for long."""
        if self._reading is None:
            self._engine.on_film_changed(self._hear)
            self._engine.on_missed_changes(self._read_soon)
        moment = time.monotonic()
        if moment >= self._read_again_at and (self._reading is None or self._reading.done()):
            self._reading = self._begin()
        if moment >= self._wait_from:
            assert self._reading is not None
            await asyncio.shield(self._reading)
        return self._shelf

    async def get(self, video_id: int) -> ListedVideo:
        """A playable video. Raises NotFound."""
        video = (await self.shelf()).get(video_id)
        if video is None:  # perhaps it has just become playable
            await self.look_up({video_id})
            video = self._shelf.get(video_id)
        if video is None:
            raise NotFound
        return video

    async def whole(self, server: str) -> Ready:
        """Every playable video, newest first; `server`: the address that clients use, such as `https://host`."""
        shelf = await self.shelf()
        if ready := self._kept(server):
            return ready
        async with self._one_build:
            if ready := self._kept(server):
                return ready
            version, rows = shelf.version, shelf.newest_first()
            ready = await ready_made(rows, server)
            self._ready[server] = version, ready
            if len(self._ready) > _SERVERS:
                self._ready.popitem(last=False)
            return ready

    def _kept(self, server: str) -> Ready | None:
        version, ready = self._ready.get(server, (None, None))
        if version != self._shelf.version:
            return None
        self._ready.move_to_end(server)
        return ready

    async def look_up(self, video_ids: Collection[int]) -> None:
        """Have these as the database has them now."""
        if self._reading is None:
            return  # nothing was read yet, so nothing can be wrong
        async with self._one_look:  # so that what was read later is also put later
            self._looked_up_meanwhile.update(video_ids)
            found = {video.id: video async for video in self._videos.playable(video_ids)}
            for video_id in video_ids:
                if video_id in found:
                    self._shelf.put(found[video_id])
                else:
                    self._shelf.discard(video_id)

    def _hear(self, video_id: int) -> None:
        self._told.add(video_id)
        if not self._is_closed and (self._looking_up is None or self._looking_up.done()):
            self._looking_up = asyncio.create_task(self._look_up_told())

    async def _look_up_told(self) -> None:
        while self._told:
            told, self._told = self._told, set()
            try:
                await self.look_up(told)
            except Exception:  # whatever the driver raises
                _log.warning("listing_waits films=%d", len(told), exc_info=True)
                self._read_soon()

    def _read_soon(self) -> None:
        self._may_have_missed = True
        if not self._is_closed and (self._reading is None or self._reading.done()):
            self._reading = self._begin()

    def _begin(self) -> asyncio.Task[None]:
        reading = asyncio.create_task(self._read())
        reading.add_done_callback(lambda task: task.cancelled() or task.exception())  # perhaps nobody waits for it
        return reading

    async def _read(self) -> None:
        """Everything, and once more when messages may have been missed meanwhile. Raises only before the first time."""
        begun = time.monotonic()
        self._read_again_at = begun + _AGAIN
        self._may_have_missed = True
        try:
            while self._may_have_missed:
                self._may_have_missed = False
                await self._read_all()
        except Exception:  # whatever the driver raises
            if not self._is_loaded:
                raise
            _log.warning("listing_is_old", exc_info=True)
            self._wait_from = math.inf  # better an old list than none
            return
        self._is_loaded = True
        age = max(self._max_age, (time.monotonic() - begun) / _SHARE)
        self._read_again_at = begun + age
        self._wait_from = begun + 2 * age

    async def _read_all(self) -> None:
        """What is looked up meanwhile is newer than what is read here."""
        self._looked_up_meanwhile.clear()
        seen = set()
        async for video in self._videos.playable():
            seen.add(video.id)
            if video.id not in self._looked_up_meanwhile:
                self._shelf.put(video)
            if len(seen) % _SLICE == 0:
                await asyncio.sleep(0)
        for video_id in set(self._shelf.ids()) - seen - self._looked_up_meanwhile:
            self._shelf.discard(video_id)


async def ready_made(rows: Sequence[Row], server: str) -> Ready:
    """The rows as they are sent; many of them are put together beside the event loop."""
    if len(rows) <= _AT_ONCE:
        return _make(rows, server)
    return await asyncio.to_thread(_make, rows, server)


def _make(rows: Sequence[Row], server: str) -> Ready:
    body = array(rows, server)
    return Ready(body, len(rows), f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"')
