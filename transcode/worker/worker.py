"""The worker: takes tasks from the ledger, lends them hands, and keeps both in order.

Slots: `slots` for bulk work, as many for segments that viewers wait for, one for probes and one for sound, so that
a new film opens soon however busy the others are. All of them sleep until a message says that there is work.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from transcode.book import FilmBook
from transcode.ledger import Lane, Lease, Ledger, LedgerUnavailable
from transcode.tasks.work import perform as real_perform
from transcode.tools import Tools
from transcode.waiting import end, wait_for_event
from transcode.worker.attempt import Attempt
from transcode.worker.bench import AWAY, Bench, Left
from transcode.worker.child import Perform
from transcode.worker.pool import Hands
from transcode.worker.reconcile import Reconciler
from transcode.worker.room import Room
from transcode.worker.sweep import Sweeper

log = logging.getLogger(__name__)

DEFAULT_MIN_FREE = 1024**3  # bytes


@dataclass(frozen=True, slots=True)
class Slot:
    """One pair of hands, and where it looks for work."""

    number: int
    lanes: tuple[Lane, ...]

    @property
    def urgent(self) -> bool:
        """Whether viewers wait for what is done here."""
        return self.lanes == (Lane.SEGMENT,)


def slots_for(bulk: int) -> list[Slot]:
    """No bulk slot takes the sound of a film: its chunks, which wait for that, would wait for the slot too.

    The slot for sound opens films only while there is none to make: however many come in, work on the others goes on.
    One bulk slot of several opens films too: some are copied as a whole before they open, and the next should not wait.
    """
    lanes = [(Lane.BULK,)] * bulk + [(Lane.SEGMENT,)] * bulk + [(Lane.OPENING,), (Lane.SOUND, Lane.OPENING)]
    if bulk > 1:
        lanes[0] = (Lane.OPENING, Lane.BULK)
    return [Slot(number, own) for number, own in enumerate(lanes)]


class Worker:
    """Runs until `stop` is called; needs nothing but the ledger, the catalogue and a media folder."""

    def __init__(
        self,
        ledger: Ledger,
        book: FilmBook,
        tools: Tools,
        media_root: Path,
        *,
        slots: int = 2,
        min_free: int = DEFAULT_MIN_FREE,
        perform: Perform = real_perform,
        name: str | None = None,
    ) -> None:
        self._ledger = ledger
        self._name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._slots = slots_for(slots)
        self._hands = Hands(len(self._slots), perform, patience=ledger.times.lease)
        self._room = Room(media_root, min_free, ledger.times.room)
        self._leaving = asyncio.Event()
        self._work = {slot.number: asyncio.Event() for slot in self._slots}
        self._look = asyncio.Event()
        self._attempts: dict[int, Attempt] = {}
        self._had_room = True
        self._bench = Bench(
            ledger, book, self._hands, tools, media_root, self._room, self._leaving, upset=self._look.set
        )
        self._reconciler = Reconciler(ledger, book, media_root)
        self._sweeper = Sweeper(ledger, book, media_root)

    def stop(self) -> None:
        """Ask the worker to leave: running tasks are given back, `run` returns within `Times.leave`."""
        self._leaving.set()
        self._look.set()
        self._wake_slots()
        self._nudge_attempts()

    async def run(self) -> None:
        """Work until `stop` is called. Redis and the database may come and go meanwhile."""
        self._make_folders()
        await self._room.look()
        self._hands.warm()
        watching = self._room.watch(self._ledger.times.heartbeat)
        keepers = [asyncio.create_task(keep) for keep in (self._listen(), self._reap(), self._keep_order(), watching)]
        serving = [asyncio.create_task(self._serve(slot)) for slot in self._slots]
        try:
            await self._watch_over(keepers, serving)
        finally:
            await end((*keepers, *serving))
            await asyncio.to_thread(self._hands.close)

    async def _watch_over(self, keepers: Sequence[asyncio.Task[None]], serving: Sequence[asyncio.Task[None]]) -> None:
        """Until all slots have left in good order; a bug in any of them ends the worker with its exception."""
        leaving = asyncio.create_task(self._leaving.wait())
        done, _ = await asyncio.wait({leaving, *keepers, *serving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        for task in done - {leaving}:
            task.result()
        left, late = await asyncio.wait(serving, timeout=self._ledger.times.leave)
        for task in left:
            task.result()
        if late:
            log.warning("worker_leaves_late slots=%s", len(late))

    # Slots --------------------------------------------------------------------------------------------------

    async def _serve(self, slot: Slot) -> None:
        with suppress(Left):  # Redis is away, and the worker is to leave
            await self._take_turns(slot)

    async def _take_turns(self, slot: Slot) -> None:
        while not self._leaving.is_set():
            self._work[slot.number].clear()
            if not await self._has_room(slot):
                await wait_for_event(self._leaving, self._ledger.times.room)
                continue
            lease = await self._claim(slot)
            if isinstance(lease, Lease):
                await self._do(slot, lease)
            else:
                poll = self._ledger.times.poll
                await wait_for_event(self._work[slot.number], poll if lease is None else min(poll, lease))

    async def _claim(self, slot: Slot) -> Lease | float | None:
        """One token until there is an answer: a claim whose answer was lost is found again."""
        token = secrets.token_hex(12)
        return await self._bench.patiently(lambda: self._ledger.claim(slot.lanes, self._name, token))

    async def _do(self, slot: Slot, lease: Lease) -> None:
        attempt = self._attempts[slot.number] = Attempt(self._bench, lease, slot.number)
        try:
            await attempt.run()
        finally:
            del self._attempts[slot.number]

    async def _has_room(self, slot: Slot) -> bool:
        """Whether the disk is there and has room for work; the ledger shows admins what is lacking.

        The reserve is there for what viewers wait for, too: bulk work stops long before it.
        """
        if slot.urgent:
            return self._room.to_serve()
        room = self._room.to_begin()
        if not room:
            await self._bench.patiently(lambda: self._ledger.hold(self._room.lacking))
        elif not self._had_room:
            await self._bench.patiently(lambda: self._ledger.hold(""))
        if room != self._had_room:
            log.warning("disk_room enough=%s lacking=%s", room, "" if room else self._room.lacking)
        self._had_room = room
        return room

    # Keepers ------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        notices = self._ledger.notices()
        notices.on_wake.append(self._woken)
        notices.on_gap.append(self._wake_slots)
        notices.on_gap.append(self._nudge_attempts)
        notices.on_gap.append(self._look.set)
        await notices.run()

    def _woken(self, what: str) -> None:
        if what == "cancel":
            self._nudge_attempts()
        else:
            self._wake_slots()

    def _wake_slots(self) -> None:
        for event in self._work.values():
            event.set()

    def _nudge_attempts(self) -> None:
        for attempt in self._attempts.values():
            attempt.nudge()

    async def _reap(self) -> None:
        while True:
            with suppress(LedgerUnavailable):
                for reaped in await self._ledger.reap():
                    log.warning("lease_expired job=%s task=%s state=%s", reaped.job, reaped.task, reaped.state)
            await asyncio.sleep(self._ledger.times.reap)

    async def _keep_order(self) -> None:
        """Reconcile and sweep, from time to time and whenever something is not as it was."""
        while not self._leaving.is_set():
            self._look.clear()
            await self._tidy(self._reconciler.once, "reconcile")
            await self._tidy(self._sweeper.once, "sweep")
            await asyncio.sleep(min(1.0, self._ledger.times.reconcile))  # at most once a second
            await wait_for_event(self._look, self._ledger.times.reconcile)
        await asyncio.Event().wait()

    async def _tidy(self, step: Callable[[], Awaitable[None]], name: str) -> None:
        """The next round repeats what this one could not do."""
        try:
            await step()
        except AWAY as error:
            log.warning("%s_waits: %s", name, error)
        except Exception:
            log.exception("%s_stumbles", name)

    def _make_folders(self) -> None:
        """At the start alone: that they are gone later means that the volume is."""
        for name in ("scratch", "hls"):
            (self._bench.root / name).mkdir(parents=True, exist_ok=True)
