"""Progress reports: every player sends one every few seconds, so they are kept in memory and written together.

A report is in the database after `interval` and the time of one write, so a web process that crashes loses no more
than that. Reads see what is not written yet, in whichever process it waits: see `videoflix.viewing.bulletin`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from itertools import islice

from videoflix.models import WatchProgress
from videoflix.stores.viewing import ProgressStore
from videoflix.viewing.recent_progress import RecentEntry, RecentProgressCache

_log = logging.getLogger(__name__)

WRITE_INTERVAL_S = 3.0  # seconds
_MAX_BATCH_SIZE = 500  # reports in one write

FilterExisting = Callable[[Collection[int]], Awaitable[set[int]]]


class ProgressReports:
    """One per process. Nothing runs while nobody reports."""

    def __init__(
        self,
        store: ProgressStore,
        recent_progress: RecentProgressCache,
        filter_users: FilterExisting,
        filter_videos: FilterExisting,
        interval_s: float = WRITE_INTERVAL_S,
    ) -> None:
        self._store = store
        self._recent_progress = recent_progress
        self._filter_users = filter_users
        self._filter_videos = filter_videos
        self._interval_s = interval_s
        self._pending: dict[tuple[int, int], WatchProgress] = {}
        self._write_task: asyncio.Task[None] | None = None
        self._write_lock = asyncio.Lock()

    async def close(self) -> None:
        """Write what waits, once. Safe to repeat."""
        if self._write_task is not None:
            self._write_task.cancel()
            await asyncio.gather(self._write_task, return_exceptions=True)
        if self._pending and not await self._write_pending():
            _log.error("progress_lost reports=%d", len(self._pending))

    async def put(self, report: WatchProgress) -> None:
        """Only the last report of a user on a film counts."""
        self._pending[report.key] = report
        if self._write_task is None or self._write_task.done():
            self._write_task = asyncio.create_task(self._write_periodically())
        await self._recent_progress.put(report)

    async def get(self, user_id: int, video_id: int) -> WatchProgress | None:
        """None for a film that was not begun."""
        key = user_id, video_id
        written, told = await asyncio.gather(self._store.get(*key), self._recent_progress.get_many([key]))
        return _select_latest(written, self._pending.get(key), told.get(key))

    async def list_in_progress(self, user_id: int) -> list[WatchProgress]:
        """Of the films that a user has begun and not finished, the last watched first."""
        unfinished, told = await asyncio.gather(
            self._store.list_unfinished(user_id), self._recent_progress.get_for_user(user_id)
        )
        written = {report.video_id: report for report in unfinished}
        waiting = {video_id: report for (user, video_id), report in self._pending.items() if user == user_id}
        newest = (
            _select_latest(written.get(id_), waiting.get(id_), told.get(id_)) for id_ in {**written, **waiting, **told}
        )
        begun = (report for report in newest if report and report.position > 0 and not report.finished)
        return sorted(begun, key=lambda report: report.updated_at, reverse=True)

    async def forget(self, user_id: int, video_id: int) -> None:
        """The film counts as not begun."""
        async with self._write_lock:  # else a report that is on its way would come back
            await self._recent_progress.forget(
                user_id, video_id
            )  # first: who writes an older report looks there afterwards
            self._pending.pop((user_id, video_id), None)
            await self._store.delete(user_id, video_id)

    async def forget_user(self, user_id: int) -> None:
        """Nothing that this user watched is known any more."""
        async with self._write_lock:
            self._pending = {key: report for key, report in self._pending.items() if key[0] != user_id}
            await self._recent_progress.forget_user(user_id)
            await self._store.delete_for_user(user_id)

    async def forget_video(self, video_id: int) -> None:
        """Nobody has begun this film any more."""
        async with self._write_lock:
            self._pending = {key: report for key, report in self._pending.items() if key[1] != video_id}
            await self._store.delete_for_video(video_id)

    async def _write_periodically(self) -> None:
        while self._pending:
            await asyncio.sleep(self._interval_s)
            await self._write_pending()

    async def _write_pending(self) -> bool:
        """False when the database did not take them all: then they go on waiting."""
        try:
            for keys in _split_batches(list(self._pending)):
                async with self._write_lock:
                    await self._save([self._pending[key] for key in keys if key in self._pending])
        except Exception:  # whatever the driver raises
            _log.warning("progress_waits reports=%d", len(self._pending), exc_info=True)
            return False
        return True

    async def _save(self, reports: Collection[WatchProgress]) -> None:
        """All but those of users and films that were deleted meanwhile, perhaps by another process."""
        users = await self._filter_users({report.user_id for report in reports})
        videos = await self._filter_videos({report.video_id for report in reports})
        kept = [report for report in reports if report.user_id in users and report.video_id in videos]
        if kept:
            await self._store.save_all(kept)
            await self._delete_forgotten(kept)
        for report in reports:
            if self._pending.get(report.key) is report:  # and no newer one
                del self._pending[report.key]

    async def _delete_forgotten(self, reports: Iterable[WatchProgress]) -> None:
        """Those of films that were forgotten meanwhile, in another process."""
        told = await self._recent_progress.get_many([report.key for report in reports])
        for key, entry in told.items():
            if entry.report is None:
                await self._store.remove_until(*key, entry.recorded_at)


def _select_latest(
    stored: WatchProgress | None, pending: WatchProgress | None, recent: RecentEntry | None
) -> WatchProgress | None:
    """What counts of what is known of one user and one film."""
    entries = [RecentEntry(report.updated_at, report) for report in (stored, pending) if report]
    newest = max([*entries, *([recent] if recent else [])], key=lambda entry: entry.recorded_at, default=None)
    return newest.report if newest else None


def _split_batches(keys: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    rest = iter(keys)
    while batch := list(islice(rest, _MAX_BATCH_SIZE)):
        yield batch
