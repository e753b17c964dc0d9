"""The heartbeat of one attempt: it keeps the lease alive, tells how far the work is, and says when it should end."""

from __future__ import annotations

import asyncio
import logging
import time
from enum import Enum

from transcode import schedule
from transcode.book import FilmEntry
from transcode.ledger import Lease, LeaseState, LedgerUnavailable, NewTask
from transcode.waiting import wait_for_event
from transcode.worker.bench import Bench

log = logging.getLogger(__name__)


class Verdict(Enum):
    """Why a task is stopped before its end."""

    CANCELLED = "it was cancelled"
    LOST = "its lease is lost"
    STALLED = "its progress stands still"
    TOO_LONG = "it takes too long"
    NO_ROOM = "the disk is full"
    LEAVING = "the worker is leaving"

    @property
    def blames_the_task(self) -> bool:
        """Whether an attempt is spent by it."""
        return self in (Verdict.STALLED, Verdict.TOO_LONG)


class Heart:
    """Of one lease on one slot. `verdict` is the first one; `judged` is set with it."""

    def __init__(self, bench: Bench, lease: Lease, slot: int) -> None:
        self._bench = bench
        self._lease = lease
        self._slot = slot
        self._nudge = asyncio.Event()
        self._stopped = False
        self._film_at_work: FilmEntry | None = None
        self._started = self._moved_at = time.monotonic()
        self._moved = (0.0, 0)
        self._released = 0
        self.verdict: Verdict | None = None
        self.judged = asyncio.Event()

    def nudge(self) -> None:
        """Something was cancelled, or the worker leaves: look now instead of at the next beat."""
        self._nudge.set()

    def work_begins(self, entry: FilmEntry) -> None:
        """From here on the slot's readings are those of this task."""
        self._film_at_work = entry
        self._started = self._moved_at = time.monotonic()

    def work_ends(self) -> None:
        """What is left is to tell of it; the lease is kept for so long."""
        self._film_at_work = None

    def stop(self) -> None:
        """The lease is of no use any more."""
        self._stopped = True

    async def beat(self) -> None:
        """Renew until it is stopped; a Redis that is away is waited for, the work goes on meanwhile."""
        while not self._stopped:  # a driver may swallow the cancellation
            await wait_for_event(self._nudge, self._bench.times.heartbeat)
            self._nudge.clear()
            try:
                await self._renew()
            except LedgerUnavailable as error:
                log.debug("renew_waits film=%s task=%s: %s", self._lease.film, self._lease.task, error)
                # A Redis that is away gives the task to nobody else. Where only the way to it is cut off, somebody else
                # gets it, does the same work, and whoever comes back finds the lease lost.
                self._bench.hands.owned(self._slot)
            self._look()

    async def _renew(self) -> None:
        reading, entry = self._bench.hands.read(self._slot), self._film_at_work
        follow_ups: list[NewTask] = []
        if entry and self._lease.kind == "audio" and reading.parts > self._released:
            follow_ups = schedule.released(entry, self._released, reading.parts)
        progress = min(1.0, max(0.0, reading.progress)) if entry else 0.0
        answer = await self._bench.ledger.renew(self._lease, progress, reading.parts, follow_ups)
        if answer is LeaseState.RUNNING:
            self._bench.hands.owned(self._slot)
            self._released = max(self._released, reading.parts if follow_ups else 0)
        elif answer is LeaseState.CANCELLED:
            self._judge(Verdict.CANCELLED)
        elif answer is LeaseState.LOST:
            self._judge(Verdict.LOST)

    def _look(self) -> None:
        if self._bench.leaving.is_set():
            self._judge(Verdict.LEAVING)
        if self._film_at_work is None:
            return
        now, reading = time.monotonic(), self._bench.hands.read(self._slot)
        if (reading.progress, reading.parts) != self._moved:
            self._moved, self._moved_at = (reading.progress, reading.parts), now
        times = self._bench.times
        if now - self._moved_at > (times.stall_segment if self._lease.kind == "segment" else times.stall):
            self._judge(Verdict.STALLED)
        if now - self._started > times.wall_clock + schedule.seconds(self._film_at_work):
            self._judge(Verdict.TOO_LONG)
        if not self._bench.room.to_go_on():
            self._judge(Verdict.NO_ROOM)

    def _judge(self, verdict: Verdict) -> None:
        if self.verdict is None:
            self.verdict = verdict
            self.judged.set()
