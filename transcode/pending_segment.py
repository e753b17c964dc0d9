"""One on-demand segment that requests of this process wait for, and why the wait may end without it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from transcode.aio import wait_for_event
from transcode.ledger import LeaseState, Ledger, LedgerUnavailable, NewTask, SegmentRequest

_log = structlog.get_logger(__name__)


class SegmentFailed(Exception):
    """The segment cannot be made at the moment; `message` says why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SegmentTimeout(Exception):
    """The segment was not made in time. Clients should retry after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class PendingSegment:
    """One request to the ledger on behalf of all waiters of this process. `task` ends when the file exists."""

    def __init__(self, ledger: Ledger, video_id: int, task_spec: NewTask, file: Path) -> None:
        self._ledger = ledger
        self._requester_id = secrets.token_hex(8)  # unique, so that a late withdrawal ends no newer request
        self._video_id = video_id
        self._task_spec = task_spec
        self._file = file
        self._requested_at = float("-inf")
        self._last_request: asyncio.Task[SegmentRequest] | None = None
        self._log = _log.bind(video_id=video_id, task_id=task_spec.id)
        self.waiters = 0
        self.wake_event = asyncio.Event()
        self.task = asyncio.ensure_future(self._wait_for_file())

    @contextmanager
    def join(self) -> Iterator[asyncio.Task[None]]:
        """Count one more waiter, and yield the task. The last waiter that leaves cancels it."""
        self.waiters += 1
        try:
            yield self.task
        finally:
            self.waiters -= 1
            if not self.waiters:
                self.task.cancel()

    async def _wait_for_file(self) -> None:
        """Wait until the file exists. Raise SegmentFailed if the task is dead.

        The request is repeated, so that it neither expires nor is lost with an emptied Redis.
        """
        interval_s = self._ledger.timing.file_poll_interval_s
        while not await asyncio.to_thread(self._file.exists):
            self.wake_event.clear()
            if time.monotonic() - self._requested_at >= interval_s:
                self._requested_at = time.monotonic()
                self._last_request = asyncio.ensure_future(
                    self._ledger.request_segment(self._video_id, self._task_spec, self._requester_id)
                )
                try:
                    request = await asyncio.shield(self._last_request)
                    if request.state is LeaseState.DEAD:
                        raise SegmentFailed(request.message)
                except LedgerUnavailable as error:
                    self._log.warning("segment_request_deferred", error=str(error))
            await wait_for_event(self.wake_event, interval_s)

    def recheck(self) -> None:
        """Check for the file now, and if it is still missing, for the state of the task."""
        self._requested_at = float("-inf")
        self.wake_event.set()

    async def withdraw(self) -> None:
        """Withdraw the request when no waiter is left. If Redis is unavailable, it expires.

        A request in flight ends first: Redis could otherwise process it after the withdrawal.
        """
        if self._last_request is not None:
            await asyncio.wait({self._last_request})
            self._last_request.exception()  # mark it as retrieved
        try:
            await self._ledger.withdraw_segment(self._video_id, self._task_spec, self._requester_id)
        except LedgerUnavailable as error:
            self._log.warning("segment_withdrawal_failed", error=str(error))
