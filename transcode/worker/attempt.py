"""One lease from its claim to its end: hand the task to the pool, renew, tell the catalogue, settle.

The catalogue is told before the ledger, and both may be told twice: a crash in between repeats a cheap step,
it never loses a finished one.
"""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from transcode import layout, schedule
from transcode.book import FilmBook, FilmEntry
from transcode.errors import Lost, MediaError, NoRoom, Stopped, TooLarge, of_os_error
from transcode.ledger import Lease, LeaseState, Ledger, LedgerUnavailable, NewTask, State
from transcode.tasks.assignment import Assignment
from transcode.times import Times
from transcode.tools import Tools
from transcode.waiting import wait_for_event
from transcode.worker import losses
from transcode.worker.losses import Losses
from transcode.worker.pool import Hands
from transcode.worker.room import Room

log = logging.getLogger(__name__)

T = TypeVar("T")


class Verdict(Enum):
    """Why a task is stopped before its end."""

    CANCELLED = "it was cancelled"
    LOST = "its lease is lost"
    STALLED = "its progress stands still"
    TOO_LONG = "it takes too long"
    NO_ROOM = "the disk is full"
    LEAVING = "the worker is leaving"


class Left(Exception):
    """The worker leaves while something is still out of reach; the lease will expire by itself."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all attempts of a worker share."""

    ledger: Ledger
    book: FilmBook
    hands: Hands
    tools: Tools
    root: Path  # the media folder
    room: Room
    leaving: asyncio.Event
    upset: Callable[[], None]  # something is not as the ledger had it: look soon

    @property
    def times(self) -> Times:
        """The time constants."""
        return self.ledger.times


class Attempt:
    """One lease on one slot. `run` never raises for what goes wrong with the task, only for bugs."""

    def __init__(self, bench: Bench, lease: Lease, slot: int) -> None:
        self._bench = bench
        self.lease = lease
        self._slot = slot
        self._nudge = asyncio.Event()
        self._verdict: Verdict | None = None
        self._judged = asyncio.Event()
        self._started = self._moved_at = time.monotonic()
        self._moved = (0.0, 0)
        self._released = 0
        self._at_work = self._over = False
        self._entry: FilmEntry | None = None

    @property
    def scratch(self) -> Path:
        """Where this attempt writes; nobody else does."""
        return layout.attempt_dir(self._bench.root, self.lease.film, self.lease.token)

    def nudge(self) -> None:
        """Something was cancelled, or the worker leaves: look now instead of at the next heartbeat."""
        self._nudge.set()

    async def run(self) -> None:
        """Do the task; the lease is settled, released or lost afterwards."""
        try:
            async with asyncio.TaskGroup() as group:  # a heart that stops for a bug stops the work with it
                beating = group.create_task(self._beat())
                try:
                    await self._run()
                finally:
                    self._over = True
                    beating.cancel()
        except* Left:
            log.warning("task_left film=%s task=%s", self.lease.film, self.lease.task)
        finally:
            await asyncio.to_thread(shutil.rmtree, self.scratch, ignore_errors=True)

    async def _run(self) -> None:
        entry = self._entry = await self._patiently(lambda: self._bench.book.entry(self.lease.film))
        if entry is None:
            await self._unknown()
            return
        log.info("task_begins film=%s task=%s attempt=%s", self.lease.film, self.lease.task, self.lease.attempt)
        try:
            result = await self._work(entry)
        except Stopped:
            await self._stopped()
        except Lost as error:
            await self._lost(error)
        except MediaError as error:
            await self._failed(error)
        else:
            await self._succeeded(entry, result)

    async def _unknown(self) -> None:
        """The film was deleted. A segment fails, or those who wait for it would ask again at once."""
        log.info("film_unknown film=%s task=%s", self.lease.film, self.lease.task)
        if self.lease.kind == "segment":
            await self._failed(MediaError("This film was deleted.", hopeless=True))
            return
        await self._ledger(lambda: self._bench.ledger.cancel(self.lease.film))
        await self._ledger(lambda: self._bench.ledger.release(self.lease))

    # The work itself ----------------------------------------------------------------------------------------

    async def _work(self, entry: FilmEntry) -> dict[str, Any]:
        try:
            await asyncio.to_thread(self.scratch.mkdir, parents=True, exist_ok=True)
        except OSError as error:
            raise of_os_error(error) from error
        self._at_work = True
        self._started = self._moved_at = time.monotonic()
        working = asyncio.ensure_future(self._bench.hands.run(self._slot, self._assignment(entry)))
        judged = asyncio.ensure_future(self._judged.wait())
        try:
            if self.lease.kind == "segment":
                await self._pull_forward(entry)
            await asyncio.wait({working, judged}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            judged.cancel()
            if not working.done():
                await self._halt(working)
            self._at_work = False
        return working.result()

    async def _halt(self, working: asyncio.Future[dict[str, Any]]) -> None:
        """Ask the child to stop; kill it when it does not."""
        self._bench.hands.stop(self._slot)
        await asyncio.wait({working}, timeout=self._bench.times.stop_patience)
        while not working.done():
            log.warning("pool_child_killed film=%s task=%s: it did not stop", self.lease.film, self.lease.task)
            self._bench.hands.kill(self._slot)
            await asyncio.wait({working}, timeout=self._bench.times.stop_patience)

    def _assignment(self, entry: FilmEntry) -> Assignment:
        return Assignment(
            kind=self.lease.kind,
            film=self.lease.film,
            source=str(self._bench.root / entry.source),
            root=self._bench.root,
            scratch=self.scratch,
            tools=self._bench.tools,
            timeline=dict(entry.timeline) if entry.timeline is not None else None,
            index=self.lease.index,
            rendition=self.lease.rendition or None,
            reserve=self._bench.room.min_free,
        )

    async def _pull_forward(self, entry: FilmEntry) -> None:
        """A viewer looks here: the chunk around the segment, then the next one, go before all others."""
        for chunk in reversed(schedule.chunks_around(entry, self.lease.index)):
            await self._ledger(lambda chunk=chunk: self._bench.ledger.raise_priority(self.lease.film, chunk))  # type: ignore[misc]

    # The heartbeat ------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        """Renew until the end; a Redis that is away is waited for, the work goes on meanwhile."""
        while not self._over:  # a driver may swallow the cancellation
            await wait_for_event(self._nudge, self._bench.times.heartbeat)
            self._nudge.clear()
            try:
                await self._renew()
            except LedgerUnavailable as error:
                log.debug("renew_waits film=%s task=%s: %s", self.lease.film, self.lease.task, error)
                self._bench.hands.owned(self._slot)  # nobody else can be given the task meanwhile
            self._look()

    async def _renew(self) -> None:
        reading = self._bench.hands.read(self._slot)
        follow_ups: list[NewTask] = []
        if self._at_work and self._entry and self.lease.kind == "audio" and reading.parts > self._released:
            follow_ups = schedule.released(self._entry, self._released, reading.parts)
        progress = min(1.0, max(0.0, reading.progress)) if self._at_work else 0.0
        answer = await self._bench.ledger.renew(self.lease, progress, reading.parts, follow_ups)
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
        if not self._at_work:
            return
        now, reading = time.monotonic(), self._bench.hands.read(self._slot)
        if (reading.progress, reading.parts) != self._moved:
            self._moved, self._moved_at = (reading.progress, reading.parts), now
        times = self._bench.times
        if now - self._moved_at > (times.stall_segment if self.lease.kind == "segment" else times.stall):
            self._judge(Verdict.STALLED)
        if now - self._started > times.wall_clock:
            self._judge(Verdict.TOO_LONG)
        if not self._bench.room.to_go_on():
            self._judge(Verdict.NO_ROOM)

    def _judge(self, verdict: Verdict) -> None:
        if self._verdict is None:
            self._verdict = verdict
            self._judged.set()

    # The end ------------------------------------------------------------------------------------------------

    async def _succeeded(self, entry: FilmEntry, result: dict[str, Any]) -> None:
        if self.lease.kind == "segment":
            await self._tell_if_lost(entry, result)
        elif await self._ledger(lambda: self._bench.ledger.renew(self.lease, 1.0)) is not LeaseState.RUNNING:
            await self._let_go()
            return
        else:
            await self._tell(result)
        if self.lease.kind in ("probe", "audio"):  # what the catalogue holds by now decides what is still to be done
            newer: FilmEntry | None = await self._patiently(lambda: self._bench.book.entry(self.lease.film))
            entry = await asyncio.to_thread(losses.as_found, newer or entry, self._bench.root)
        follow_ups = await asyncio.to_thread(schedule.after, self.lease.kind, entry, self._bench.root)
        weights = schedule.weights(entry) if self.lease.kind == "probe" else None
        answer = await self._ledger(lambda: self._bench.ledger.settle(self.lease, result, follow_ups, weights))
        if answer is LeaseState.SUCCEEDED:
            log.info("task_succeeded film=%s task=%s", self.lease.film, self.lease.task)
            if self.lease.kind == "finish":
                self._bench.upset()  # its scratch can be swept
        else:
            await self._let_go()

    async def _tell(self, result: dict[str, Any]) -> None:
        """Write it into the catalogue, however long that is away."""
        book, lease = self._bench.book, self.lease
        if lease.kind == "probe":
            await self._patiently(lambda: book.probed(lease.film, result))
        elif lease.kind == "finish":
            await self._patiently(lambda: book.finished(lease.film, result))
        else:
            await self._patiently(lambda: book.task_done(lease.film, lease.kind, lease.index, result))

    async def _tell_if_lost(self, entry: FilmEntry, result: dict[str, Any]) -> None:
        """Nobody is told of a segment, but one that was final and had to be made for a viewer was lost.

        Its chunk makes it again as it was, and what is listed of its bytes is right again.
        """
        chunk = schedule.chunk_of(entry, self.lease.index)
        if chunk in entry.chunks_done and result.get("is_new"):
            log.warning("chunk_lost film=%s chunk=%s: it is made again", entry.film, chunk)
            await self._make_again(entry, Losses(frozenset({chunk})))

    async def _make_again(self, entry: FilmEntry, lost: Losses) -> None:
        """By the job that is at work on the film, or by a new one."""
        await self._patiently(lambda: self._bench.book.lost(entry.film, lost.chunks, lost.kinds))
        await self._ledger(lambda: self._bench.ledger.start(entry.film, [schedule.probe()], schedule.finish()))

    async def _lost(self, error: Lost) -> None:
        """What the task builds on is made again, and then the task, unless the film was deleted."""
        if self._verdict is not None or self.lease.kind == "probe":
            await self._failed(error)
            return
        entry: FilmEntry | None = await self._patiently(lambda: self._bench.book.entry(self.lease.film))
        if entry is None:
            await self._unknown()
            return
        log.warning("ground_lost film=%s task=%s: %s", self.lease.film, self.lease.task, error.sentence)
        if self.lease.kind == "segment":
            await self._wait_for_ground(entry, error)
            return
        answer = await self._ledger(
            lambda: self._bench.ledger.reopen(self.lease, schedule.probe(), error.sentence, error.last_words)
        )
        if answer is not LeaseState.QUEUED:
            self._bench.upset()

    async def _wait_for_ground(self, entry: FilmEntry, error: Lost) -> None:
        """A segment is looked for again and again while somebody waits for it; not where its film was given up."""
        states = await self._ledger(lambda: self._bench.ledger.states([entry.film]))
        if entry.failed or states.get(entry.film) is State.DEAD:
            await self._failed(error)
            return
        await self._make_again(entry, await asyncio.to_thread(losses.losses, entry, self._bench.root))
        await self._let_go(self._bench.times.look, error.sentence)

    async def _failed(self, error: MediaError) -> None:
        if self._verdict in (Verdict.STALLED, Verdict.TOO_LONG):
            error = MediaError(f"The work was stopped: {self._verdict.value}.", last_words=error.last_words)
        elif self._verdict is not None:
            await self._stopped()
            return
        elif isinstance(error, NoRoom):
            await self._found_no_room(error)
            return
        log.warning(
            "task_failed film=%s task=%s attempt=%s hopeless=%s: %s",
            self.lease.film, self.lease.task, self.lease.attempt, error.hopeless, error.sentence,
        )  # fmt: skip
        answer = await self._ledger(
            lambda: self._bench.ledger.fail(
                self.lease, error.sentence, error.last_words, hopeless=error.hopeless, delay=self._backoff()
            )
        )
        if answer is LeaseState.DEAD:
            self._bench.upset()  # the reconciler tells the catalogue, here and after a crash

    async def _found_no_room(self, error: NoRoom) -> None:
        """No fault of the film, so no attempt is spent; what is too large keeps no other work waiting."""
        self._verdict = Verdict.NO_ROOM
        if isinstance(error, TooLarge):
            log.warning("task_too_large film=%s task=%s: %s", self.lease.film, self.lease.task, error.sentence)
            await self._let_go(self._bench.times.backoff_max, error.sentence)
        else:
            self._bench.room.ran_full()
            await self._let_go()

    async def _stopped(self) -> None:
        if self._verdict in (Verdict.STALLED, Verdict.TOO_LONG):
            await self._failed(MediaError(f"The work was stopped: {self._verdict.value}."))
        else:
            await self._let_go()

    async def _let_go(self, delay: float = 0, sentence: str = "") -> None:
        answer = await self._ledger(lambda: self._bench.ledger.release(self.lease, delay, sentence))
        why = self._verdict.value if self._verdict else sentence or "its lease is not in force"
        log.info("task_let_go film=%s task=%s state=%s: %s", self.lease.film, self.lease.task, answer, why)
        left = self.lease.kind == "segment" and answer is LeaseState.CANCELLED  # its viewer did, as viewers do
        if answer not in (LeaseState.QUEUED, LeaseState.RETRYING) and not left:
            self._bench.upset()  # the film may be gone, or all of Redis

    def _backoff(self) -> float:
        times = self._bench.times
        if self.lease.kind == "segment":
            return times.segment_backoff
        pause = min(times.backoff_max, times.backoff * 2.0 ** (self.lease.attempt - 1))
        return pause * (1 + random.random())  # noqa: S311 - spreads retries, hides nothing

    # Servers that are away ----------------------------------------------------------------------------------

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the catalogue until it answers. Raises Left when the worker is to leave before that."""
        return await persist(call, Exception, "book_away", self._bench)

    async def _ledger(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the ledger until it answers. Raises Left when the worker is to leave before that."""
        return await persist(call, LedgerUnavailable, "ledger_away", self._bench)


async def persist(call: Callable[[], Awaitable[T]], passing: type[Exception], event: str, bench: Bench) -> T:
    """Repeat a repeatable call with growing pauses while it raises `passing`; logs once. Raises Left."""
    pause, told = bench.times.away_first, False
    while True:
        try:
            return await call()
        except passing as error:
            if bench.leaving.is_set():
                raise Left from error
            if not told:
                log.warning("%s: %r; trying again until it is back", event, error, exc_info=passing is Exception)
            told = True
        await wait_for_event(bench.leaving, pause)
        pause = min(2 * pause, bench.times.away_most)
