"""Progress reports: every player sends one every few seconds, so they are collected in memory and written in batches.

A report is in the database after `interval_s` seconds and one write; a crash of a web process loses no more than that.
Reads include reports that are not written yet, in any process: see `videoflix.viewing.recent_progress`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from itertools import islice

import structlog

from videoflix.models import WatchProgress
from videoflix.stores.errors import is_outage
from videoflix.stores.viewing import ProgressStore
from videoflix.viewing.recent_progress import RecentEntry, RecentProgressCache

_log = structlog.get_logger(__name__)

WRITE_INTERVAL_S = 3.0
_MAX_BATCH_SIZE = 500  # reports in one write

FilterExisting = Callable[[Collection[int]], Awaitable[set[int]]]


class ProgressReports:
    """The progress reports of a web process. It runs no task while there are no reports."""

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
        """Write all pending reports, in one attempt. Idempotent."""
        if self._write_task is not None:
            self._write_task.cancel()
            await asyncio.gather(self._write_task, return_exceptions=True)
        if self._pending and not await self._write_pending():
            _log.error("progress_reports_lost", reports=len(self._pending))

    async def put(self, report: WatchProgress) -> None:
        """Add a report, which replaces earlier ones of the same user on the same video."""
        self._pending[report.key] = report
        if self._write_task is None or self._write_task.done():
            self._write_task = asyncio.create_task(self._write_periodically())
        await self._recent_progress.put(report)

    async def get(self, user_id: int, video_id: int) -> WatchProgress | None:
        """Return the progress of a user, or None if the video was not started."""
        key = user_id, video_id
        stored, recent = await asyncio.gather(self._store.get(*key), self._recent_progress.get_many([key]))
        return _select_latest(stored, self._pending.get(key), recent.get(key))

    async def list_in_progress(self, user_id: int) -> list[WatchProgress]:
        """Return the progress of a user on all started and unfinished videos, the last watched first."""
        unfinished, recent = await asyncio.gather(
            self._store.list_unfinished(user_id), self._recent_progress.get_for_user(user_id)
        )
        stored = {report.video_id: report for report in unfinished}
        pending = {key[1]: report for key, report in self._pending.items() if key[0] == user_id}
        latest = (
            _select_latest(stored.get(video_id), pending.get(video_id), recent.get(video_id))
            for video_id in {**stored, **pending, **recent}
        )
        in_progress = (report for report in latest if report and report.position > 0 and not report.finished)
        return sorted(in_progress, key=lambda report: report.updated_at, reverse=True)

    async def forget(self, user_id: int, video_id: int) -> None:
        """Reset the progress of a user on a video."""
        async with self._write_lock:  # else a write that is running could restore a report
            # First, because a process that writes an older report checks this cache after the write.
            await self._recent_progress.forget(user_id, video_id)
            self._pending.pop((user_id, video_id), None)
            await self._store.delete(user_id, video_id)

    async def forget_user(self, user_id: int) -> None:
        """Remove everything that a user has watched."""
        async with self._write_lock:
            self._pending = {key: report for key, report in self._pending.items() if key[0] != user_id}
            await self._recent_progress.forget_user(user_id)
            await self._store.delete_for_user(user_id)

    async def forget_video(self, video_id: int) -> None:
        """Remove the progress of all users on a video."""
        async with self._write_lock:
            self._pending = {key: report for key, report in self._pending.items() if key[1] != video_id}
            await self._store.delete_for_video(video_id)

    async def _write_periodically(self) -> None:
        while self._pending:
            await asyncio.sleep(self._interval_s)
            await self._write_pending()

    async def _write_pending(self) -> bool:
        """Write all pending reports. Return False if the database failed; the rest stays pending."""
        try:
            for keys in _split_batches(list(self._pending)):
                async with self._write_lock:
                    await self._save([self._pending[key] for key in keys if key in self._pending])
        except Exception as error:  # drivers raise errors of many kinds
            _log.warning(
                "progress_write_failed", reports=len(self._pending), error=str(error), exc_info=not is_outage(error)
            )
            return False
        return True

    async def _save(self, reports: Collection[WatchProgress]) -> None:
        """Write reports, except those of users and videos that were deleted meanwhile, perhaps by another process."""
        user_ids = await self._filter_users({report.user_id for report in reports})
        video_ids = await self._filter_videos({report.video_id for report in reports})
        valid_reports = [report for report in reports if report.user_id in user_ids and report.video_id in video_ids]
        if valid_reports:
            await self._store.save_all(valid_reports)
            await self._delete_forgotten(valid_reports)
        for report in reports:
            if self._pending.get(report.key) is report:  # not replaced by a newer one
                del self._pending[report.key]

    async def _delete_forgotten(self, reports: Iterable[WatchProgress]) -> None:
        """Delete reports whose progress was reset meanwhile by another process."""
        recent = await self._recent_progress.get_many([report.key for report in reports])
        for key, entry in recent.items():
            if entry.report is None:
                await self._store.remove_until(*key, entry.recorded_at)


def _select_latest(
    stored: WatchProgress | None, pending: WatchProgress | None, recent: RecentEntry | None
) -> WatchProgress | None:
    """Return the latest report of a user on a video, or None if there is none or the progress was reset since."""
    entries = [RecentEntry(report.updated_at, report) for report in (stored, pending) if report]
    latest = max([*entries, *([recent] if recent else [])], key=lambda entry: entry.recorded_at, default=None)
    return latest.report if latest else None


def _split_batches(keys: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    remaining = iter(keys)
    while batch := list(islice(remaining, _MAX_BATCH_SIZE)):
        yield batch
