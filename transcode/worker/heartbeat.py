"""The heartbeat of one attempt: keeps the lease alive, reports progress, and decides when the task should stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum

import structlog

from transcode import task_graph
from transcode.aio import wait_for_event
from transcode.ledger import Lease, LeaseState, LedgerUnavailable, NewTask
from transcode.repository import VideoRecord
from transcode.task_kinds import TaskKind
from transcode.worker.context import WorkerContext

_log = structlog.get_logger(__name__)


class StopReason(Enum):
    """Why a task is stopped before it ends; the values complete "The work was stopped: ..."."""

    CANCELLED = "it was cancelled"
    LEASE_LOST = "its lease is lost"
    STALLED = "its progress stands still"
    TIMED_OUT = "it takes too long"
    DISK_FULL = "the disk is full"
    SHUTTING_DOWN = "the worker is leaving"

    @property
    def counts_as_failure(self) -> bool:
        """Whether it spends an attempt."""
        return self in (StopReason.STALLED, StopReason.TIMED_OUT)


class Heartbeat:
    """Renews one lease. `stop_reason` is the first reason to stop the task, and `stop_requested` is set with it."""

    def __init__(self, context: WorkerContext, lease: Lease, slot: int) -> None:
        self._context = context
        self._timing = context.timing
        self._lease = lease
        self._slot = slot
        self._wake_event = asyncio.Event()
        self._is_stopped = False
        self._active_record: VideoRecord | None = None  # while the task runs
        self._started_at = self._progressed_at = time.monotonic()
        self._last_progress = (0.0, 0)
        self._unblocked_parts = 0
        self.stop_reason: StopReason | None = None
        self.stop_requested = asyncio.Event()

    def wake(self) -> None:
        """Check for a cancellation or a shutdown now rather than at the next beat."""
        self._wake_event.set()

    @asynccontextmanager
    async def renewing(self) -> AsyncIterator[None]:
        """Renew the lease in the background for the block. A bug in the heartbeat cancels the block.

        Raises exception groups, as `asyncio.TaskGroup` does.
        """
        async with asyncio.TaskGroup() as group:
            renewing = group.create_task(self._run())
            try:
                yield
            finally:
                self._is_stopped = True
                renewing.cancel()

    @contextmanager
    def monitoring(self, record: VideoRecord) -> Iterator[None]:
        """Report the slot's progress as the task's for the block, and stop a task that exceeds a limit."""
        self._active_record = record
        self._started_at = self._progressed_at = time.monotonic()
        try:
            yield
        finally:
            self._active_record = None

    async def _run(self) -> None:
        """Renew until stopped. While Redis is unavailable, the task continues."""
        while not self._is_stopped:  # a driver may swallow the cancellation
            await wait_for_event(self._wake_event, self._timing.heartbeat_interval_s)
            self._wake_event.clear()
            try:
                await self._renew()
            except LedgerUnavailable as error:
                _log.debug(
                    "renewal_delayed", video_id=self._lease.video_id, task_id=self._lease.task_id, error=str(error)
                )
                # While Redis is down, it gives the task to nobody else. If only this worker is cut off, another one
                # gets the task and does the same work, and this one finds its lease lost when it reconnects.
                self._context.pool.confirm_lease(self._slot)
            self._check_limits()

    async def _renew(self) -> None:
        reading, record = self._context.pool.read(self._slot), self._active_record
        follow_ups: list[NewTask] = []
        if record and self._lease.kind == TaskKind.AUDIO and reading.parts_done > self._unblocked_parts:
            follow_ups = task_graph.unblocked_chunks(record, self._unblocked_parts, reading.parts_done)
        progress = min(1.0, max(0.0, reading.progress)) if record else 0.0
        state = await self._context.heartbeat_ledger.renew(self._lease, progress, reading.parts_done, follow_ups)
        if state is LeaseState.RUNNING:
            self._context.pool.confirm_lease(self._slot)
            self._unblocked_parts = max(self._unblocked_parts, reading.parts_done if follow_ups else 0)
        elif state is LeaseState.CANCELLED:
            self._request_stop(StopReason.CANCELLED)
        elif state is LeaseState.LOST:
            self._request_stop(StopReason.LEASE_LOST)

    def _check_limits(self) -> None:
        if self._context.shutting_down.is_set():
            self._request_stop(StopReason.SHUTTING_DOWN)
        if self._active_record is None:
            return
        now, reading = time.monotonic(), self._context.pool.read(self._slot)
        if (reading.progress, reading.parts_done) != self._last_progress:
            self._last_progress, self._progressed_at = (reading.progress, reading.parts_done), now
        if now - self._progressed_at > self._stall_timeout_s:
            self._request_stop(StopReason.STALLED)
        if now - self._started_at > self._timing.task_timeout_s + task_graph.seconds(self._active_record):
            self._request_stop(StopReason.TIMED_OUT)
        if not self._context.disk_guard.can_continue():
            self._request_stop(StopReason.DISK_FULL)

    @property
    def _stall_timeout_s(self) -> float:
        is_segment = self._lease.kind == TaskKind.SEGMENT
        return self._timing.segment_stall_timeout_s if is_segment else self._timing.stall_timeout_s

    def _request_stop(self, reason: StopReason) -> None:
        if self.stop_reason is None:
            self.stop_reason = reason
            self.stop_requested.set()
