"""The worker: claims tasks from the ledger, runs them in slots, and reaps, reconciles and sweeps meanwhile.

There are `slots` slots for batch tasks, as many for on-demand segments, one for probes and one for audio, so that a
new video is playable soon however busy the others are. All of them sleep until a message announces new tasks.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from transcode import paths
from transcode.aio import cancel_and_wait, wait_for_event
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ledger import Lease, Ledger, LedgerUnavailable, Queue
from transcode.repository import VideoRepository
from transcode.tasks.registry import run_task as run_real_task
from transcode.worker.attempt import Attempt
from transcode.worker.child import TaskRunner
from transcode.worker.context import WorkerContext
from transcode.worker.disk_guard import DiskGuard
from transcode.worker.outages import UNAVAILABLE_ERRORS, RetryingRepository, RetryUntilAvailable, ShuttingDown
from transcode.worker.pool import EncoderPool
from transcode.worker.reconciler import Reconciler
from transcode.worker.sweeper import Sweeper

_log = structlog.get_logger(__name__)

DEFAULT_MIN_FREE_BYTES = 1024**3


@dataclass(frozen=True, slots=True)
class Slot:
    """One process of the pool, and the queues from which it claims."""

    number: int
    queues: tuple[Queue, ...]

    @property
    def is_on_demand(self) -> bool:
        """Whether it serves viewers that wait for segments."""
        return self.queues == (Queue.ON_DEMAND,)


def build_slots(batch_slots: int) -> list[Slot]:
    """Return a worker's slots.

    Audio never runs in a batch slot: the chunks that depend on it would queue behind it. The audio slot probes only
    when no audio task is queued, so that work on other videos continues however many come in. If there are several
    batch slots, one of them probes too: some sources are copied before they can be probed, and the next video should
    not wait for that.
    """
    queues = (
        [(Queue.BATCH,)] * batch_slots
        + [(Queue.ON_DEMAND,)] * batch_slots
        + [(Queue.PROBE,), (Queue.AUDIO, Queue.PROBE)]
    )
    if batch_slots > 1:
        queues[0] = (Queue.PROBE, Queue.BATCH)
    return [Slot(number, own) for number, own in enumerate(queues)]


class Worker:
    """Runs until `stop` is called. Needs only the ledger, the repository and a media folder."""

    def __init__(
        self,
        ledger: Ledger,
        repository: VideoRepository,
        binaries: FfmpegBinaries,
        media_root: Path,
        *,
        slots: int = 2,
        min_free: int = DEFAULT_MIN_FREE_BYTES,
        run_task: TaskRunner = run_real_task,
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
        """Shut down: running tasks are released, and `run` returns within `Timing.shutdown_timeout_s`."""
        self._shutting_down.set()
        self._reconcile_requested.set()
        self._wake_slots()
        self._wake_attempts()

    async def run(self) -> None:
        """Work until `stop` is called. Outages of Redis and the database are waited out."""
        self._create_folders()
        await self._disk_guard.measure()
        self._pool.spawn_all()
        disk_checks = self._disk_guard.run(self._ledger.timing.heartbeat_interval_s)
        background_jobs = (self._listen(), self._reap(), self._run_maintenance(), disk_checks)
        background_tasks = [asyncio.create_task(job) for job in background_jobs]
        slot_tasks = [asyncio.create_task(self._run_slot(slot)) for slot in self._slots]
        try:
            await self._supervise(background_tasks, slot_tasks)
        finally:
            await cancel_and_wait((*background_tasks, *slot_tasks))
            await asyncio.to_thread(self._pool.close)

    async def _supervise(
        self, background_tasks: Sequence[asyncio.Task[None]], slot_tasks: Sequence[asyncio.Task[None]]
    ) -> None:
        """Return when all slots have shut down, or after a timeout. Raise the exception of any task that fails."""
        shutdown = asyncio.create_task(self._shutting_down.wait())
        done, _ = await asyncio.wait({shutdown, *background_tasks, *slot_tasks}, return_when=asyncio.FIRST_COMPLETED)
        shutdown.cancel()
        for task in done - {shutdown}:
            task.result()
        ended, pending = await asyncio.wait(slot_tasks, timeout=self._ledger.timing.shutdown_timeout_s)
        for task in ended:
            task.result()
        if pending:
            _log.warning("shutdown_timed_out", slots=len(pending))

    # Slots --------------------------------------------------------------------------------------------------

    async def _run_slot(self, slot: Slot) -> None:
        with suppress(ShuttingDown):  # Redis is unavailable during the shutdown
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
        """Return whether the volume is present and has space for this slot's tasks.

        On-demand tasks may use the reserve, at which batch tasks have long stopped. While those are paused, the ledger
        shows admins why.
        """
        if slot.is_on_demand:
            return self._disk_guard.can_serve()
        has_space = self._disk_guard.can_start()
        if not has_space:
            await self._retrying_ledger.set_pause_reason(self._disk_guard.missing_resource)
        elif not self._had_disk_space:
            await self._retrying_ledger.set_pause_reason("")
        if has_space and not self._had_disk_space:
            _log.warning("work_resumed")
        elif self._had_disk_space and not has_space:
            _log.warning("work_paused", missing_resource=self._disk_guard.missing_resource)
        self._had_disk_space = has_space
        return has_space

    # Background ---------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        subscription = self._ledger.subscribe()
        subscription.on_wake.append(self._on_wake)
        subscription.on_connect.append(self._wake_slots)
        subscription.on_connect.append(self._wake_attempts)
        subscription.on_connect.append(self._reconcile_requested.set)
        await subscription.run()

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
                    _log.warning("lease_expired", job_id=reaped.job_id, task_id=reaped.task_id, state=reaped.state)
            await asyncio.sleep(self._ledger.timing.reap_interval_s)

    async def _run_maintenance(self) -> None:
        """Reconcile and sweep at intervals, and early when asked to."""
        while not self._shutting_down.is_set():
            self._reconcile_requested.clear()
            await self._run_step(self._reconciler.run_once, "reconcile")
            await self._run_step(self._sweeper.run_once, "sweep")
            await asyncio.sleep(min(1.0, self._ledger.timing.reconcile_interval_s))  # at most once a second
            await wait_for_event(self._reconcile_requested, self._ledger.timing.reconcile_interval_s)
        await asyncio.Event().wait()

    async def _run_step(self, step: Callable[[], Awaitable[None]], name: str) -> None:
        """Run one step and log its errors. The next round repeats it."""
        try:
            await step()
        except UNAVAILABLE_ERRORS as error:
            _log.warning("maintenance_deferred", step=name, error=str(error))
        except Exception:
            _log.exception("maintenance_failed", step=name)

    def _create_folders(self) -> None:
        """Create missing folders. Only at the start: later, missing folders mean that the volume is missing."""
        for name in (paths.SCRATCH_DIR, paths.HLS_DIR):
            (self._context.media_root / name).mkdir(parents=True, exist_ok=True)
