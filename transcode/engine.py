"""The engine as web processes use it: start and cancel videos, view jobs, wait for segments."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

import structlog

from transcode import paths, publishing, task_graph
from transcode.aio import cancel_and_wait
from transcode.ledger import JobProgress, JobView, Ledger, LedgerUnavailable, SegmentNotification, TaskView
from transcode.pending_segment import PendingSegment, SegmentTimeout
from transcode.waiter_limit import WaiterLimit

_log = structlog.get_logger(__name__)

_JSON_NAMES = {"video_id": "film", "max_attempts": "limit"}  # in the JSON that clients know
_LEASE_POLL_INTERVAL_S = 0.05  # while a cancellation waits for workers
_RETRY_AFTER_TIMEOUT_S = 5


class Engine:
    """One per web process. Create, use and close it inside one running event loop."""

    def __init__(self, ledger: Ledger, media_root: Path, *, max_waiters: int = 64) -> None:
        self._ledger = ledger
        self._media_root = media_root
        self._waiter_limit = WaiterLimit(max_waiters)
        self._subscription = ledger.subscribe()
        self._subscription.on_segment.append(self._handle_segment)
        self._subscription.on_video.append(self._handle_video_changed)
        self._subscription.on_connect.append(self._wake_all)
        self._listener: asyncio.Task[None] | None = None
        self._pending_segments: dict[tuple[int, str, int], PendingSegment] = {}
        self._pending_tasks: set[asyncio.Task[None]] = set()  # includes those that newer ones replaced
        self._withdrawals: set[asyncio.Task[None]] = set()
        self._change_callbacks: list[Callable[[int], None]] = []

    async def close(self) -> None:
        """Stop waiting and listening. Idempotent."""
        await cancel_and_wait(self._pending_tasks)
        await asyncio.gather(*self._withdrawals, return_exceptions=True)
        if self._listener is not None:
            await cancel_and_wait([self._listener])
            self._listener = None

    # Videos -------------------------------------------------------------------------------------------------

    async def start(self, video_id: int) -> None:
        """Start or resume the transcoding of a video that is unfinished in the catalogue. Idempotent.

        If Redis is unavailable, this only logs: workers open a job for every unfinished video without one.
        """
        try:
            await self._ledger.start(video_id, [task_graph.probe_task()], task_graph.closing())
        except LedgerUnavailable as error:
            _log.warning("start_deferred", video_id=video_id, error=str(error))

    async def cancel(self, video_id: int) -> None:
        """Stop all work on a video that is no longer unfinished in the catalogue. Idempotent.

        Returns when no worker writes for it, or after `Timing.cancel_timeout_s`. If Redis is unavailable, this only
        logs: workers cancel every job of a video that is not unfinished.
        """
        try:
            await self._cancel(video_id)
        except LedgerUnavailable as error:
            _log.warning("cancel_deferred", video_id=video_id, error=str(error))

    async def delete(self, video_id: int, source: str) -> None:
        """Stop all work on a video that is deleted in the catalogue, and remove its files. Idempotent.

        Workers sweep what cannot be removed now, and what a paused worker still writes later.
        """
        try:
            await self._cancel(video_id)
            await self._ledger.forget(video_id)
            await self._ledger.publish_video_changed(video_id)
        except LedgerUnavailable as error:
            _log.warning("delete_deferred", video_id=video_id, error=str(error))
        for path in await asyncio.to_thread(publishing.list_remaining, self._media_root, video_id, source):
            await asyncio.to_thread(publishing.remove, path)

    async def forget(self, video_id: int) -> None:
        """Forget a video's ended job, so that a new one can be opened. Raises LedgerUnavailable."""
        await self._ledger.forget(video_id)

    async def _cancel(self, video_id: int) -> None:
        deadline = time.monotonic() + self._ledger.timing.cancel_timeout_s
        active_leases = await self._ledger.cancel(video_id)
        while active_leases and time.monotonic() < deadline:
            await asyncio.sleep(_LEASE_POLL_INTERVAL_S)
            active_leases = await self._ledger.count_active_leases(video_id)
        if active_leases:
            _log.warning("cancel_timed_out", video_id=video_id, active_leases=active_leases)

    async def jobs(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return jobs with their tasks as JSON-able objects, newest first. Raises LedgerUnavailable."""
        return [_job_row(job) for job in await self._ledger.views.jobs(limit)]

    async def job_states(self) -> Counter[str]:
        """Return how many jobs are in each state. Raises LedgerUnavailable."""
        return Counter(state.value for state in (await self._ledger.views.all_job_states()).values())

    async def task_states(self, max_jobs: int = 100) -> Counter[str]:
        """Return how many tasks of the oldest live jobs are in each state. Raises LedgerUnavailable."""
        return await self._ledger.views.task_states(sorted(await self._ledger.views.list_active_ids())[:max_jobs])

    async def progress(self, video_ids: Iterable[int]) -> dict[int, JobProgress]:
        """Return the progress of those videos that have a job. Raises LedgerUnavailable."""
        return await self._ledger.views.progress(video_ids)

    def on_video_changed(self, callback: Callable[[int], None]) -> None:
        """Call `callback`, which must be quick, with the id of every video that changes. Starts listening."""
        self._change_callbacks.append(callback)
        self._ensure_listening()

    def on_missed_changes(self, callback: Callable[[], None]) -> None:
        """Call `callback`, which must be quick, after every (re)connection: changes may have been missed."""
        self._subscription.on_connect.append(callback)
        self._ensure_listening()

    async def publish_video_changed(self, video_id: int) -> None:
        """Tell every process that a video changed. Raises LedgerUnavailable."""
        await self._ledger.publish_video_changed(video_id)

    # Segments -----------------------------------------------------------------------------------------------

    @property
    def waiters(self) -> int:
        """The number of requests that wait for segments in this process."""
        return self._waiter_limit.in_use

    async def request_segment(
        self, video_id: int, rendition: str, number: int, viewer: Hashable = None, elapsed_s: float = 0
    ) -> None:
        """Wait until a segment exists, and have it encoded if it does not.

        `viewer` is any key of the client, for a fair share of waiters; `elapsed_s` is how long the request has taken
        so far, because players count that too. A segment is encoded once for all its waiters, and the encode is
        cancelled when the last one leaves. Raises TooManyWaiters, SegmentTimeout or SegmentFailed.
        """
        file = paths.segment_path(self._media_root, video_id, rendition, number)
        if await asyncio.to_thread(file.exists):
            return
        timeout_s = self._ledger.timing.segment_wait_timeout_s - elapsed_s
        with (
            self._waiter_limit.acquire(viewer),
            self._get_pending_segment(video_id, rendition, number, file).join() as completion,
        ):
            try:
                async with asyncio.timeout(timeout_s):
                    await asyncio.shield(completion)
            except TimeoutError:
                raise SegmentTimeout(_RETRY_AFTER_TIMEOUT_S) from None

    def _get_pending_segment(self, video_id: int, rendition: str, number: int, file: Path) -> PendingSegment:
        self._ensure_listening()
        key = (video_id, rendition, number)
        pending = self._pending_segments.get(key)
        if pending is None or pending.task.done() or not pending.waiters:
            spec = task_graph.segment_task(rendition, number)
            pending = self._pending_segments[key] = PendingSegment(self._ledger, video_id, spec, file)
            self._pending_tasks.add(pending.task)
            pending.task.add_done_callback(lambda _: self._on_pending_done(key, pending))
        return pending

    def _on_pending_done(self, key: tuple[int, str, int], pending: PendingSegment) -> None:
        if self._pending_segments.get(key) is pending:
            del self._pending_segments[key]
        self._pending_tasks.discard(pending.task)
        withdrawal = asyncio.ensure_future(pending.withdraw())
        self._withdrawals.add(withdrawal)
        withdrawal.add_done_callback(self._withdrawals.discard)
        if not pending.task.cancelled():
            pending.task.exception()  # retrieve it, in case no waiter is left

    # Messages -----------------------------------------------------------------------------------------------

    def _ensure_listening(self) -> None:
        if self._listener is None or self._listener.done():
            self._listener = asyncio.ensure_future(self._subscription.run())

    def _handle_segment(self, notification: SegmentNotification) -> None:
        pending = self._pending_segments.get((notification.video_id, notification.rendition, notification.number))
        if pending is not None:
            pending.recheck()

    def _handle_video_changed(self, video_id: int) -> None:
        for key, pending in self._pending_segments.items():
            if key[0] == video_id:
                pending.wake_event.set()
        for callback in self._change_callbacks:
            callback(video_id)

    def _wake_all(self) -> None:
        for pending in self._pending_segments.values():
            pending.wake_event.set()


def _job_row(job: JobView) -> dict[str, Any]:
    """Return a job as admins see it. `progress` is in per cent, for the job and for every task."""
    row = {_JSON_NAMES.get(name, name): getattr(job, name) for name in JobView.__slots__ if name != "percent"}
    return {**row, "progress": job.percent, "tasks": [_task_row(task) for task in job.tasks]}


def _task_row(task: TaskView) -> dict[str, Any]:
    """Return a task as admins see it. (`asdict` took most of a second for the tasks of a hundred long videos.)"""
    row = {_JSON_NAMES.get(name, name): getattr(task, name) for name in TaskView.__slots__}
    return {**row, "progress": round(100 * task.progress, 1)}
