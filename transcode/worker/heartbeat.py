"""The heartbeat of one attempt: it keeps the lease alive, tells how far the work is, and says when it should end."""

from __future__ import annotations

import asyncio
import logging
import time
from enum import Enum

from transcode import task_graph
from transcode.aio import wait_for_event
from transcode.ledger import Lease, LeaseState, LedgerUnavailable, NewTask
from transcode.repository import VideoRecord
from transcode.task_kinds import TaskKind
from transcode.worker.context import WorkerContext

log = logging.getLogger(__name__)


class StopReason(Enum):
    """Why a task is stopped before its end."""

    CANCELLED = "it was cancelled"
    LEASE_LOST = "its lease is lost"
    STALLED = "its progress stands still"
    TIMED_OUT = "it takes too long"
    DISK_FULL = "the disk is full"
    SHUTTING_DOWN = "the worker is leaving"

    @property
    def counts_as_failure(self) -> bool:
        """Whether an attempt is spent by it."""
        return self in (StopReason.STALLED, StopReason.TIMED_OUT)


class Heartbeat:
    """Of one lease on one slot. `verdict` is the first one; `judged` is set with it."""

    def __init__(self, context: WorkerContext, lease: Lease, slot: int) -> None:
        self._context = context
        self._lease = lease
        self._slot = slot
        self._wake_event = asyncio.Event()
        self._is_stopped = False
        self._active_record: VideoRecord | None = None
        self._started_at = self._progressed_at = time.monotonic()
        self._last_progress = (0.0, 0)
        self._unblocked_parts = 0
        self.stop_reason: StopReason | None = None
        self.stop_requested = asyncio.Event()

    def wake(self) -> None:
        """Something was cancelled, or the worker leaves: look now instead of at the next beat."""
        self._wake_event.set()

    def start_monitoring(self, record: VideoRecord) -> None:
        """From here on the slot's readings are those of this task."""
        self._active_record = record
        self._started_at = self._progressed_at = time.monotonic()

    def stop_monitoring(self) -> None:
        """What is left is to tell of it; the lease is kept for so long."""
        self._active_record = None

    def stop(self) -> None:
        """The lease is of no use any more."""
        self._is_stopped = True

    async def run(self) -> None:
        """Renew until it is stopped; a Redis that is away is waited for, the work goes on meanwhile."""
        while not self._is_stopped:  # a driver may swallow the cancellation
            await wait_for_event(self._wake_event, self._context.timing.heartbeat_interval_s)
            self._wake_event.clear()
            try:
                await self._renew()
            except LedgerUnavailable as error:
                log.debug("renew_waits film=%s task=%s: %s", self._lease.video_id, self._lease.task_id, error)
                # A Redis that is away gives the task to nobody else. Where only the way to it is cut off, somebody else
                # gets it, does the same work, and whoever comes back finds the lease lost.
                self._context.pool.confirm_lease(self._slot)
            self._check_limits()

    async def _renew(self) -> None:
        reading, entry = self._context.pool.read(self._slot), self._active_record
        follow_ups: list[NewTask] = []
        if entry and self._lease.kind == TaskKind.AUDIO and reading.parts_done > self._unblocked_parts:
            follow_ups = task_graph.unblocked_chunks(entry, self._unblocked_parts, reading.parts_done)
        progress = min(1.0, max(0.0, reading.progress)) if entry else 0.0
        answer = await self._context.ledger.renew(self._lease, progress, reading.parts_done, follow_ups)
        if answer is LeaseState.RUNNING:
            self._context.pool.confirm_lease(self._slot)
            self._unblocked_parts = max(self._unblocked_parts, reading.parts_done if follow_ups else 0)
        elif answer is LeaseState.CANCELLED:
            self._request_stop(StopReason.CANCELLED)
        elif answer is LeaseState.LOST:
            self._request_stop(StopReason.LEASE_LOST)

    def _check_limits(self) -> None:
        if self._context.shutting_down.is_set():
            self._request_stop(StopReason.SHUTTING_DOWN)
        if self._active_record is None:
            return
        now, reading = time.monotonic(), self._context.pool.read(self._slot)
        if (reading.progress, reading.parts_done) != self._last_progress:
            self._last_progress, self._progressed_at = (reading.progress, reading.parts_done), now
        times = self._context.timing
        if now - self._progressed_at > (
            times.segment_stall_timeout_s if self._lease.kind == TaskKind.SEGMENT else times.stall_timeout_s
        ):
            self._request_stop(StopReason.STALLED)
        if now - self._started_at > times.task_timeout_s + task_graph.seconds(self._active_record):
            self._request_stop(StopReason.TIMED_OUT)
        if not self._context.disk_guard.can_continue():
            self._request_stop(StopReason.DISK_FULL)

    def _request_stop(self, reason: StopReason) -> None:
        if self.stop_reason is None:
            self.stop_reason = reason
            self.stop_requested.set()
