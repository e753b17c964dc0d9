"""Progress reports: every player sends one every few seconds, so they are kept in memory and written together.

A report is in the database after `interval` and the time of one write, so a web process that crashes loses no more
than that. Reads see what is not written yet, in whichever process it waits: see `videoflix.viewing.bulletin`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from itertools import islice

from videoflix.models import Progress
from videoflix.stores.progress import ProgressStore
from videoflix.viewing.bulletin import Bulletin, Entry

_log = logging.getLogger(__name__)

INTERVAL = 3.0  # seconds
_AT_ONCE = 500  # reports in one write

Existing = Callable[[Collection[int]], Awaitable[set[int]]]


class ProgressReports:
    """One per process. Nothing runs while nobody reports."""

    def __init__(
        self,
        store: ProgressStore,
        bulletin: Bulletin,
        users: Existing,
        videos: Existing,
        interval: float = INTERVAL,
    ) -> None:
        self._store = store
        self._bulletin = bulletin
        self._users = users
        self._videos = videos
        self._interval = interval
        self._waiting: dict[tuple[int, int], Progress] = {}
        self._writing: asyncio.Task[None] | None = None
        self._one_write = asyncio.Lock()

    async def close(self) -> None:
        """Write what waits, once. Safe to repeat."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        if self._waiting and not await self._write():
            _log.error("progress_lost reports=%d", len(self._waiting))

    async def put(self, report: Progress) -> None:
        """Only the last report of a user on a film counts."""
        self._waiting[report.key] = report
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_from_time_to_time())
        await self._bulletin.put(report)

    async def get(self, user_id: int, video_id: int) -> Progress | None:
        """None for a film that was not begun."""
        key = user_id, video_id
        written, told = await asyncio.gather(self._store.get(*key), self._bulletin.of([key]))
        return _newest(written, self._waiting.get(key), told.get(key))

    async def begun(self, user_id: int) -> list[Progress]:
        """Of the films that a user has begun and not finished, the last watched first."""
        unfinished, told = await asyncio.gather(self._store.unfinished(user_id), self._bulletin.of_user(user_id))
        written = {report.video_id: report for report in unfinished}
        waiting = {video_id: report for (user, video_id), report in self._waiting.items() if user == user_id}
        newest = (_newest(written.get(id_), waiting.get(id_), told.get(id_)) for id_ in {**written, **waiting, **told})
        begun = (report for report in newest if report and report.position > 0 and not report.finished)
        return sorted(begun, key=lambda report: report.updated_at, reverse=True)

    async def forget(self, user_id: int, video_id: int) -> None:
        """The film counts as not begun."""
        async with self._one_write:  # else a report that is on its way would come back
            await self._bulletin.forget(user_id, video_id)  # first: who writes an older report looks there afterwards
            self._waiting.pop((user_id, video_id), None)
            await self._store.remove(user_id, video_id)

    async def forget_user(self, user_id: int) -> None:
        """Nothing that this user watched is known any more."""
        async with self._one_write:
            self._waiting = {key: report for key, report in self._waiting.items() if key[0] != user_id}
            await self._bulletin.forget_user(user_id)
            await self._store.forget_user(user_id)

    async def forget_video(self, video_id: int) -> None:
        """Nobody has begun this film any more."""
        async with self._one_write:
            self._waiting = {key: report for key, report in self._waiting.items() if key[1] != video_id}
            await self._store.forget_video(video_id)

    async def _write_from_time_to_time(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._interval)
            await self._write()

    async def _write(self) -> bool:
        """False when the database did not take them all: then they go on waiting."""
        try:
            for keys in _batches(list(self._waiting)):
                async with self._one_write:
                    await self._keep([self._waiting[key] for key in keys if key in self._waiting])
        except Exception:  # whatever the driver raises
            _log.warning("progress_waits reports=%d", len(self._waiting), exc_info=True)
            return False
        return True

    async def _keep(self, reports: Collection[Progress]) -> None:
        """All but those of users and films that were deleted meanwhile, perhaps by another process."""
        users = await self._users({report.user_id for report in reports})
        videos = await self._videos({report.video_id for report in reports})
        kept = [report for report in reports if report.user_id in users and report.video_id in videos]
        if kept:
            await self._store.keep(kept)
            await self._take_back(kept)
        for report in reports:
            if self._waiting.get(report.key) is report:  # and no newer one
                del self._waiting[report.key]

    async def _take_back(self, kept: Iterable[Progress]) -> None:
        """Those of films that were forgotten meanwhile, in another process."""
        told = await self._bulletin.of([report.key for report in kept])
        for key, entry in told.items():
            if entry.report is None:
                await self._store.remove_until(*key, entry.at)


def _newest(written: Progress | None, waiting: Progress | None, told: Entry | None) -> Progress | None:
    """What counts of what is known of one user and one film."""
    entries = [Entry(report.updated_at, report) for report in (written, waiting) if report]
    newest = max([*entries, *([told] if told else [])], key=lambda entry: entry.at, default=None)
    return newest.report if newest else None


def _batches(keys: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    rest = iter(keys)
    while batch := list(islice(rest, _AT_ONCE)):
        yield batch
