"""The worker: takes tasks from the ledger, lends them hands, and keeps both in order.

Slots: `slots` for bulk work, as many for segments that viewers wait for, one for probes and one for sound, so that
a new film opens soon however busy the others are. All of them sleep until a message says that there is work.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from transcode import paths
from transcode.aio import cancel_and_wait, wait_for_event
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ledger import Lease, Ledger, LedgerUnavailable, Queue
from transcode.repository import VideoRepository
from transcode.tasks.registry import run_task as real_perform
from transcode.worker.attempt import Attempt
from transcode.worker.child import TaskRunner
from transcode.worker.context import WorkerContext
from transcode.worker.disk_guard import DiskGuard
from transcode.worker.pool import EncoderPool
from transcode.worker.reconciler import Reconciler
from transcode.worker.retrying import UNAVAILABLE_ERRORS, RetryingRepository, RetryUntilAvailable, ShuttingDown
from transcode.worker.sweeper import Sweeper

log = logging.getLogger(__name__)

DEFAULT_MIN_FREE_BYTES = 1024**3  # bytes


@dataclass(frozen=True, slots=True)
class Slot:
    """One pair of hands, and where it looks for work."""

    number: int
    queues: tuple[Queue, ...]

    @property
    def is_on_demand(self) -> bool:
        """Whether viewers wait for what is done here."""
        return self.queues == (Queue.ON_DEMAND,)


def build_slots(batch_slots: int) -> list[Slot]:
    """No bulk slot takes the sound of a film: its chunks, which wait for that, would wait for the slot too.

    The slot for sound opens films only while there is none to make: however many come in, work on the others goes on.
    One bulk slot of several opens films too: some are copied as a whole before they open, and the next should not wait.
    """
    lanes = (
        [(Queue.BATCH,)] * batch_slots
        + [(Queue.ON_DEMAND,)] * batch_slots
        + [(Queue.PROBE,), (Queue.AUDIO, Queue.PROBE)]
    )
    if batch_slots > 1:
        lanes[0] = (Queue.PROBE, Queue.BATCH)
    return [Slot(number, own) for number, own in enumerate(lanes)]


class Worker:
    """Runs until `stop` is called; needs nothing but the ledger, the catalogue and a media folder."""

    def __init__(
        self,
        ledger: Ledger,
        repository: VideoRepository,
        binaries: FfmpegBinaries,
        media_root: Path,
        *,
        slots: int = 2,
        min_free: int = DEFAULT_MIN_FREE_BYTES,
        run_task: TaskRunner = real_perform,
        name: str | None = None,
    ) -> None:
        self._ledger = ledger
        self._name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._slots = build_slots(slots)
        self._pool = EncoderPool(len(self._slots), run_task, lease_ttl=ledger.timing.lease_ttl_s)
        self._disk_guard = DiskGuard(media_root, min_free, ledger.timing.disk_full_pause_s)
        self._shutting_down = asyncio.Event()
        self._work_available = {slot.number: asyncio.Event() for slot in self._slots}
        self._reconcile_requested = asyncio.Event()
        self._attempts: dict[int, Attempt] = {}
        self._had_disk_space = True
        retry = RetryUntilAvailable(ledger.timing, self._shutting_down)
        self._retrying_ledger = ledger.retrying(retry)
        self._context = WorkerContext(
            ledger=self._retrying_ledger,
            repository=RetryingRepository(repository, retry),
            heartbeat_ledger=ledger,
            pool=self._pool,
            binaries=binaries,
            media_root=media_root,
            disk_guard=self._disk_guard,
            shutting_down=self._shutting_down,
            request_reconcile=self._reconcile_requested.set,
            timing=ledger.timing,
        )
        self._reconciler = Reconciler(ledger, repository, media_root)
        self._sweeper = Sweeper(ledger, repository, media_root)

    def stop(self) -> None:
        """Ask the worker to leave: running tasks are given back, `run` returns within `Times.leave`."""
        self._shutting_down.set()
        self._reconcile_requested.set()
        self._wake_slots()
        self._wake_attempts()

    async def run(self) -> None:
        """Work until `stop` is called. Redis and the database may come and go meanwhile."""
        self._create_folders()
        await self._disk_guard.measure()
        self._pool.spawn_all()
        watching = self._disk_guard.run(self._ledger.timing.heartbeat_interval_s)
        keepers = [
            asyncio.create_task(keep) for keep in (self._listen(), self._reap(), self._run_maintenance(), watching)
        ]
        serving = [asyncio.create_task(self._run_slot(slot)) for slot in self._slots]
        try:
            await self._supervise(keepers, serving)
        finally:
            await cancel_and_wait((*keepers, *serving))
            await asyncio.to_thread(self._pool.close)

    async def _supervise(
        self, background_tasks: Sequence[asyncio.Task[None]], slot_tasks: Sequence[asyncio.Task[None]]
    ) -> None:
        """Until all slots have left in good order; a bug in any of them ends the worker with its exception."""
        leaving = asyncio.create_task(self._shutting_down.wait())
        done, _ = await asyncio.wait({leaving, *background_tasks, *slot_tasks}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        for task in done - {leaving}:
            task.result()
        left, late = await asyncio.wait(slot_tasks, timeout=self._ledger.timing.shutdown_timeout_s)
        for task in left:
            task.result()
        if late:
            log.warning("worker_leaves_late slots=%s", len(late))

    # Slots --------------------------------------------------------------------------------------------------

    async def _run_slot(self, slot: Slot) -> None:
        with suppress(ShuttingDown):  # Redis is away, and the worker is to leave
            await self._process_tasks(slot)

    async def _process_tasks(self, slot: Slot) -> None:
        while not self._shutting_down.is_set():
            self._work_available[slot.number].clear()
            if not await self._has_disk_space(slot):
                await wait_for_event(self._shutting_down, self._ledger.timing.disk_full_pause_s)
                continue
            claim = await self._retrying_ledger.claim(slot.queues, self._name)
            if isinstance(claim, Lease):
                await self._run_attempt(slot, claim)
            else:
                poll = self._ledger.timing.poll_interval_s
                wait_s = poll if claim is None else min(poll, claim.delay_s)
                await wait_for_event(self._work_available[slot.number], wait_s)

    async def _run_attempt(self, slot: Slot, lease: Lease) -> None:
        attempt = self._attempts[slot.number] = Attempt(self._context, lease, slot.number)
        try:
            await attempt.run()
        finally:
            del self._attempts[slot.number]

    async def _has_disk_space(self, slot: Slot) -> bool:
        """Whether the disk is there and has room for work; the ledger shows admins what is lacking.

        The reserve is there for what viewers wait for, too: bulk work stops long before it.
        """
        if slot.is_on_demand:
            return self._disk_guard.can_serve()
        room = self._disk_guard.can_start()
        if not room:
            await self._retrying_ledger.set_pause_reason(self._disk_guard.missing_resource)
        elif not self._had_disk_space:
            await self._retrying_ledger.set_pause_reason("")
        if room != self._had_disk_space:
            log.warning("disk_room enough=%s lacking=%s", room, "" if room else self._disk_guard.missing_resource)
        self._had_disk_space = room
        return room

    # Keepers ------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        notices = self._ledger.subscribe()
        notices.on_wake.append(self._on_wake)
        notices.on_connect.append(self._wake_slots)
        notices.on_connect.append(self._wake_attempts)
        notices.on_connect.append(self._reconcile_requested.set)
        await notices.run()

    def _on_wake(self, topic: str) -> None:
        if topic == "cancel":
            self._wake_attempts()
        else:
            self._wake_slots()

    def _wake_slots(self) -> None:
        for event in self._work_available.values():
            event.set()

    def _wake_attempts(self) -> None:
        for attempt in self._attempts.values():
            attempt.wake()

    async def _reap(self) -> None:
        while True:
            with suppress(LedgerUnavailable):
                for reaped in await self._ledger.reap():
                    log.warning("lease_expired job=%s task=%s state=%s", reaped.job_id, reaped.task_id, reaped.state)
            await asyncio.sleep(self._ledger.timing.reap_interval_s)

    async def _run_maintenance(self) -> None:
        """Reconcile and sweep, from time to time and whenever something is not as it was."""
        while not self._shutting_down.is_set():
            self._reconcile_requested.clear()
            await self._run_step(self._reconciler.run_once, "reconcile")
            await self._run_step(self._sweeper.run_once, "sweep")
            await asyncio.sleep(min(1.0, self._ledger.timing.reconcile_interval_s))  # at most once a second
            await wait_for_event(self._reconcile_requested, self._ledger.timing.reconcile_interval_s)
        await asyncio.Event().wait()

    async def _run_step(self, step: Callable[[], Awaitable[None]], name: str) -> None:
        """The next round repeats what this one could not do."""
        try:
            await step()
        except UNAVAILABLE_ERRORS as error:
            log.warning("%s_waits: %s", name, error)
        except Exception:
            log.exception("%s_stumbles", name)

    def _create_folders(self) -> None:
        """At the start alone: that they are gone later means that the volume is."""
        for name in (paths.SCRATCH_DIR, paths.HLS_DIR):
            (self._context.media_root / name).mkdir(parents=True, exist_ok=True)
