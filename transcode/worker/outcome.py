"""How an attempt ends: first the catalogue is told, then the ledger.

Both may be told twice: a crash in between repeats a cheap step, it never loses a finished one.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from typing import Any

from transcode import integrity, task_graph
from transcode.errors import DiskFull, InputMissing, MediaError, OutputTooLarge
from transcode.integrity import MissingFiles
from transcode.ledger import JobView, Lease, LeaseState, State
from transcode.presentation import Presentation
from transcode.repository import Omissions, VideoRecord
from transcode.task_kinds import TaskKind
from transcode.tasks.registry import TaskResult
from transcode.worker.context import WorkerContext

log = logging.getLogger(__name__)


class AttemptOutcome:
    """Of one lease; one of these calls ends it. Each waits for servers that are away, and raises Left."""

    def __init__(self, context: WorkerContext, lease: Lease) -> None:
        self._context = context
        self._lease = lease

    async def on_success(self, record: VideoRecord, result: TaskResult) -> None:
        """Tell what was made, and begin what follows from it."""
        bench, lease = self._context, self._lease
        if lease.kind == TaskKind.SEGMENT:
            await self._restore_lost_chunk(record, result)
        elif await bench.retry_until_available(lambda: bench.ledger.renew(lease, 1.0)) is not LeaseState.RUNNING:
            await self.release()
            return
        else:
            await self._record_result(record, result)
        if lease.kind in (TaskKind.PROBE, TaskKind.AUDIO):
            # What the catalogue holds by now decides what is still to be done.
            newer: VideoRecord | None = await bench.retry_until_available(lambda: bench.repository.get(lease.video_id))
            if newer is not None and lease.kind == TaskKind.PROBE and _has_changed(newer.presentation, result):
                await self.release("another probe was first, and its playlists have to be published")
                return
            record = await asyncio.to_thread(integrity.without_missing, newer or record, bench.media_root)
        follow_ups = await asyncio.to_thread(task_graph.follow_ups, lease.kind, record, bench.media_root)
        weights = task_graph.weights(record) if lease.kind == TaskKind.PROBE else None
        answer = await bench.retry_until_available(lambda: bench.ledger.complete(lease, result, follow_ups, weights))
        if answer is LeaseState.SUCCEEDED:
            log.debug("task_succeeded film=%s task=%s", lease.video_id, lease.task_id)
            if lease.kind == TaskKind.FINALIZE:
                bench.request_reconcile()  # its scratch can be swept
        else:
            await self.release()

    async def on_failure(self, error: MediaError) -> None:
        """Spend an attempt."""
        bench, lease = self._context, self._lease
        log.warning(
            "task_failed film=%s task=%s attempt=%s hopeless=%s: %s",
            lease.video_id, lease.task_id, lease.attempt, error.permanent, error.message,
        )  # fmt: skip
        hopeless, delay = error.permanent, self._retry_delay()
        answer = await bench.retry_until_available(
            lambda: bench.ledger.fail(lease, error.message, error.stderr_tail, permanent=hopeless, delay=delay)
        )
        if answer is LeaseState.DEAD:
            bench.request_reconcile()  # the reconciler tells the catalogue, here and after a crash

    async def on_disk_full(self, error: DiskFull) -> None:
        """No fault of the film, so no attempt is spent; what is too large keeps no other work waiting."""
        if isinstance(error, OutputTooLarge):
            log.warning("task_too_large film=%s task=%s: %s", self._lease.video_id, self._lease.task_id, error.message)
            await self.release(error.message, self._context.timing.max_retry_backoff_s)
        else:
            self._context.disk_guard.report_disk_full()
            await self.release(error.message)

    async def on_missing_input(self, error: InputMissing) -> None:
        """What the task builds on is made again, and then the task, unless the film was deleted."""
        bench, lease = self._context, self._lease
        entry: VideoRecord | None = await bench.retry_until_available(lambda: bench.repository.get(lease.video_id))
        if entry is None:
            await self.on_video_deleted()
            return
        log.warning("ground_lost film=%s task=%s: %s", lease.video_id, lease.task_id, error.message)
        if lease.kind == TaskKind.SEGMENT:
            await self._retry_after_rebuild(entry, error)
            return
        first, words = task_graph.probe_task(), error.stderr_tail
        answer = await bench.retry_until_available(lambda: bench.ledger.restart_job(lease, first, error.message, words))
        if answer is not LeaseState.QUEUED:
            bench.request_reconcile()

    async def on_video_deleted(self) -> None:
        """The film was deleted. A segment fails, or those who wait for it would ask again at once."""
        bench, lease = self._context, self._lease
        log.info("film_unknown film=%s task=%s", lease.video_id, lease.task_id)
        if lease.kind == TaskKind.SEGMENT:
            await self.on_failure(MediaError("This film was deleted.", permanent=True))
            return
        await bench.retry_until_available(lambda: bench.ledger.cancel(lease.video_id))
        await bench.retry_until_available(lambda: bench.ledger.release(lease))

    async def release(self, reason: str = "", delay: float = 0) -> None:
        """Give the task back, for after `delay` seconds; no attempt is spent."""
        bench, lease = self._context, self._lease
        answer = await bench.retry_until_available(lambda: bench.ledger.release(lease, delay, reason))
        log.info(
            "task_let_go film=%s task=%s state=%s: %s",
            lease.video_id, lease.task_id, answer, reason or "its lease is not in force",
        )  # fmt: skip
        left = lease.kind == TaskKind.SEGMENT and answer is LeaseState.CANCELLED  # its viewer did, as viewers do
        if answer not in (LeaseState.QUEUED, LeaseState.RETRYING) and not left:
            bench.request_reconcile()  # the film may be gone, or all of Redis

    async def _record_result(self, entry: VideoRecord, result: TaskResult) -> None:
        """Write it into the catalogue."""
        bench, lease = self._context, self._lease
        if lease.kind == TaskKind.PROBE:
            presentation = Presentation.from_json(result)
            await bench.retry_until_available(lambda: bench.repository.set_presentation(lease.video_id, presentation))
        elif lease.kind == TaskKind.FINALIZE:
            job: JobView | None = await bench.retry_until_available(lambda: bench.ledger.views.job(lease.video_id))
            omissions = omissions_of(entry, job) if job else entry.omissions
            await bench.retry_until_available(lambda: bench.repository.mark_finished(lease.video_id, result, omissions))
        else:
            await bench.retry_until_available(
                lambda: bench.repository.mark_task_done(lease.video_id, lease.kind, lease.index, result)
            )

    async def _restore_lost_chunk(self, record: VideoRecord, result: TaskResult) -> None:
        """Nobody is told of a segment, but one that was final and had to be made for a viewer was lost.

        Its chunk makes it again as it was, and what is listed of its bytes is right again.
        """
        chunk = task_graph.chunk_of(record, self._lease.index)
        if chunk in record.chunks_done and result.get("is_new"):
            log.warning("chunk_lost film=%s chunk=%s: it is made again", record.video_id, chunk)
            await self._schedule_rebuild(record, MissingFiles(frozenset({chunk})))

    async def _retry_after_rebuild(self, record: VideoRecord, error: InputMissing) -> None:
        """A segment is looked for again and again while somebody waits for it; not where its film was given up.

        Nor without the source: perhaps it is the whole volume that is away, and all that is done would be done again.
        """
        bench = self._context
        states = await bench.retry_until_available(lambda: bench.ledger.views.job_states([record.video_id]))
        has_source = await asyncio.to_thread((bench.media_root / record.source).exists)
        if record.is_failed or not has_source or states.get(record.video_id) is State.DEAD:
            await self.on_failure(error)
            return
        await self._schedule_rebuild(record, await asyncio.to_thread(integrity.find_missing, record, bench.media_root))
        await self.release(error.message, bench.timing.file_poll_interval_s)

    async def _schedule_rebuild(self, record: VideoRecord, missing: MissingFiles) -> None:
        """By the job that is at work on the film, or by a new one."""
        bench = self._context
        await bench.retry_until_available(
            lambda: bench.repository.mark_missing(record.video_id, missing.chunks, missing.kinds)
        )
        await bench.retry_until_available(
            lambda: bench.ledger.start(record.video_id, [task_graph.probe_task()], task_graph.closing())
        )

    def _retry_delay(self) -> float:
        times = self._context.timing
        if self._lease.kind == TaskKind.SEGMENT:
            return times.segment_retry_backoff_s
        pause = min(times.max_retry_backoff_s, times.retry_backoff_s * 2.0 ** (self._lease.attempt - 1))
        return pause * (1 + random.random())  # noqa: S311 - spreads retries, hides nothing


def omissions_of(entry: VideoRecord, job: JobView) -> Omissions:
    """Return what a film is published without when its job ends as it is: dead tasks whose work was never done."""
    dead = {task.kind: task.error for task in job.tasks if task.state is State.DEAD and task.kind != TaskKind.SEGMENT}
    return entry.omissions.updated({kind: dead[kind] for kind in sorted(dead.keys() - entry.tasks_done)}, time.time())


def _has_changed(stored: Presentation | None, probed: Mapping[str, Any]) -> bool:
    return stored is not None and stored != Presentation.from_json(probed)
