"""What web processes use of the engine: start and cancel films, look at the work, wait for segments."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

from transcode import paths, publishing, task_graph
from transcode.aio import cancel_and_wait
from transcode.ledger import (
    JobProgress,
    JobView,
    LeaseState,
    Ledger,
    LedgerUnavailable,
    NewTask,
    SegmentNotification,
    TaskView,
)
from transcode.waiter_limit import TooManyWaiters, WaiterLimit

log = logging.getLogger(__name__)

_JSON_NAMES = {"video_id": "film", "max_attempts": "limit"}  # as clients know them


class SegmentFailed(Exception):
    """This segment cannot be made at the moment; the sentence says why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Engine:
    """One per web process. Use it inside a running event loop, and `close` it there."""

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
        self._pending_tasks: set[asyncio.Task[None]] = set()  # also of wishes that newer ones took the places of
        self._withdrawals: set[asyncio.Task[None]] = set()
        self._change_callbacks: list[Callable[[int], None]] = []

    async def close(self) -> None:
        """Stop waiting and listening. Repeatable."""
        await cancel_and_wait(self._pending_tasks)
        await asyncio.gather(*self._withdrawals, return_exceptions=True)
        if self._listener is not None:
            await cancel_and_wait([self._listener])
            self._listener = None

    # Films --------------------------------------------------------------------------------------------------

    async def start(self, video_id: int) -> None:
        """Begin, or go on with, a film that the catalogue calls unfinished. Repeatable.

        With Redis away this only logs: workers open a job for every unfinished film that has none.
        """
        try:
            await self._ledger.start(video_id, [task_graph.probe_task()], task_graph.closing())
        except LedgerUnavailable as error:
            log.warning("start_waits film=%s: %s", video_id, error)

    async def cancel(self, video_id: int) -> None:
        """Stop all work on a film that the catalogue does not call unfinished any more. Repeatable.

        Returns when no worker writes for it; one that does not answer is not waited for long. With Redis away
        this only logs: workers cancel every job of a film that is not unfinished.
        """
        try:
            await self._cancel(video_id)
        except LedgerUnavailable as error:
            log.warning("cancel_waits film=%s: %s", video_id, error)

    async def delete(self, video_id: int, source: str) -> None:
        """Stop all work on a film that is deleted in the catalogue, and remove every file of it. Repeatable.

        What cannot be done now, or is written later by a worker that was paused, workers sweep.
        """
        try:
            await self._cancel(video_id)
            await self._ledger.forget(video_id)
            await self._ledger.publish_video_changed(video_id)
        except LedgerUnavailable as error:
            log.warning("delete_waits film=%s: %s", video_id, error)
        for place in await asyncio.to_thread(publishing.list_remaining, self._media_root, video_id, source):
            await asyncio.to_thread(publishing.remove, place)

    async def forget(self, video_id: int) -> None:
        """Make room for a new job of a film whose last one is over. Raises LedgerUnavailable."""
        await self._ledger.forget(video_id)

    async def _cancel(self, video_id: int) -> None:
        until = time.monotonic() + self._ledger.timing.cancel_timeout_s
        held = await self._ledger.cancel(video_id)
        while held and time.monotonic() < until:
            await asyncio.sleep(0.05)
            held = await self._ledger.count_active_leases(video_id)
        if held:
            log.warning("cancel_unanswered film=%s leases=%s", video_id, held)

    async def jobs(self, limit: int = 100) -> list[dict[str, Any]]:
        """Jobs with their tasks as JSON-able objects, newest first. Raises LedgerUnavailable."""
        return [_job_row(job) for job in await self._ledger.views.jobs(limit)]

    async def job_states(self) -> Counter[str]:
        """How many jobs are in each state. Raises LedgerUnavailable."""
        return Counter(state.value for state in (await self._ledger.views.all_job_states()).values())

    async def task_states(self, max_jobs: int = 100) -> Counter[str]:
        """How many tasks are in each state, of the oldest jobs that are not over. Raises LedgerUnavailable."""
        return await self._ledger.views.task_states(sorted(await self._ledger.views.list_active_ids())[:max_jobs])

    async def progress(self, video_ids: Iterable[int]) -> dict[int, JobProgress]:
        """How far the films are that have a job. Raises LedgerUnavailable."""
        return await self._ledger.views.progress(video_ids)

    def on_video_changed(self, callback: Callable[[int], None]) -> None:
        """Be called, quickly, with the id of every film that changes; listening begins with this call."""
        self._change_callbacks.append(callback)
        self._ensure_listening()

    def on_missed_changes(self, callback: Callable[[], None]) -> None:
        """Be called, quickly, whenever listening begins (again) and changes before that may have gone unheard."""
        self._subscription.on_connect.append(callback)
        self._ensure_listening()

    async def publish_video_changed(self, video_id: int) -> None:
        """Tell every process. Raises LedgerUnavailable."""
        await self._ledger.publish_video_changed(video_id)

    # Segments -----------------------------------------------------------------------------------------------

    @property
    def waiters(self) -> int:
        """How many requests wait for segments in this process."""
        return self._waiter_limit.in_use

    async def request_segment(
        self, video_id: int, rendition: str, number: int, viewer: Hashable = None, elapsed_s: float = 0
    ) -> None:
        """Wait until a segment that is not there yet is published. `viewer`: any key of who asks, for a fair share;
        `waited`: seconds that the request has taken so far, for players count those too.

        However many wait for the same one, it is encoded once; when the last waiter goes, that is cancelled.
        Raises Busy or SegmentFailed.
        """
        file = paths.segment_path(self._media_root, video_id, rendition, number)
        if await asyncio.to_thread(file.exists):
            return
        with self._waiter_limit.acquire(viewer):
            await self._wait(
                self._get_pending_segment(video_id, rendition, number, file),
                self._ledger.timing.segment_wait_timeout_s - elapsed_s,
            )

    async def _wait(self, pending: PendingSegment, timeout_s: float) -> None:
        pending.waiters += 1
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(pending.task)
        except TimeoutError:
            raise TooManyWaiters(5) from None
        finally:
            pending.waiters -= 1
            if not pending.waiters:
                pending.task.cancel()

    def _get_pending_segment(self, video_id: int, rendition: str, number: int, file: Path) -> PendingSegment:
        self._ensure_listening()
        key = (video_id, rendition, number)
        wish = self._pending_segments.get(key)
        if wish is None or wish.task.done() or not wish.waiters:
            spec = task_graph.segment_task(rendition, number)
            wish = self._pending_segments[key] = PendingSegment(self._ledger, video_id, spec, file)
            self._pending_tasks.add(wish.task)
            wish.task.add_done_callback(lambda _: self._on_pending_done(key, wish))
        return wish

    def _on_pending_done(self, key: tuple[int, str, int], pending: PendingSegment) -> None:
        if self._pending_segments.get(key) is pending:
            del self._pending_segments[key]
        self._pending_tasks.discard(pending.task)
        farewell = asyncio.ensure_future(pending.withdraw())
        self._withdrawals.add(farewell)
        farewell.add_done_callback(self._withdrawals.discard)
        if not pending.task.cancelled():
            pending.task.exception()  # seen, also when nobody waits for it any more

    # Messages -----------------------------------------------------------------------------------------------

    def _ensure_listening(self) -> None:
        if self._listener is None or self._listener.done():
            self._listener = asyncio.ensure_future(self._subscription.run())

    def _handle_segment(self, notification: SegmentNotification) -> None:
        wish = self._pending_segments.get((notification.video_id, notification.rendition, notification.number))
        if wish is not None:
            wish.recheck()

    def _handle_video_changed(self, video_id: int) -> None:
        for key, wish in self._pending_segments.items():
            if key[0] == video_id:
                wish.wake_event.set()
        for callback in self._change_callbacks:
            callback(video_id)

    def _wake_all(self) -> None:
        for wish in self._pending_segments.values():
            wish.wake_event.set()


class PendingSegment:
    """All that wait in this process for one segment."""

    def __init__(self, ledger: Ledger, video_id: int, task_spec: NewTask, file: Path) -> None:
        self._ledger = ledger
        self._requester_id = secrets.token_hex(
            8
        )  # its own: a farewell that comes late ends no newer wish for the same segment
        self._video_id = video_id
        self._task_spec = task_spec
        self._file = file
        self.waiters = 0
        self.wake_event = asyncio.Event()
        self._requested_at = float("-inf")
        self.task = asyncio.ensure_future(self._wait_for_file())

    async def _wait_for_file(self) -> None:
        """Until the file is there. Raises SegmentFailed. Asking again keeps the wish alive, and outlives Redis."""
        while not await asyncio.to_thread(self._file.exists):
            self.wake_event.clear()
            if time.monotonic() - self._requested_at >= self._ledger.timing.file_poll_interval_s:
                await self._request()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._ledger.timing.file_poll_interval_s):
                    await self.wake_event.wait()

    def recheck(self) -> None:
        """Look for the file, and when it is still missing ask what became of the task."""
        self._requested_at = float("-inf")
        self.wake_event.set()

    async def _request(self) -> None:
        self._requested_at = time.monotonic()
        try:
            state, sentence = await self._ledger.request_segment(self._video_id, self._task_spec, self._requester_id)
        except LedgerUnavailable as error:
            log.warning("segment_waits film=%s task=%s: %s", self._video_id, self._task_spec.id, error)
            return
        if state is LeaseState.DEAD:
            raise SegmentFailed(sentence)

    async def withdraw(self) -> None:
        """Nobody waits here any more; an interest that cannot be withdrawn expires."""
        try:
            await self._ledger.withdraw_segment(self._video_id, self._task_spec, self._requester_id)
        except LedgerUnavailable as error:
            log.warning("unwant_waits film=%s task=%s: %s", self._video_id, self._task_spec.id, error)


def _job_row(job: JobView) -> dict[str, Any]:
    """As the admin's list shows it: `progress` is in per cent, for the job and for every task."""
    row = {_JSON_NAMES.get(name, name): getattr(job, name) for name in JobView.__slots__ if name != "percent"}
    return {**row, "progress": job.percent, "tasks": [_task_row(task) for task in job.tasks]}


def _task_row(task: TaskView) -> dict[str, Any]:
    """Not by `asdict`, which took the better part of a second for the tasks of a hundred long films."""
    row = {_JSON_NAMES.get(name, name): getattr(task, name) for name in TaskView.__slots__}
    return {**row, "progress": round(100 * task.progress, 1)}
