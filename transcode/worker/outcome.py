"""How an attempt ends: its result is recorded in the repository first, then in the ledger.

Both writes are idempotent: a crash in between repeats a cheap step and never loses a finished one.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any

import structlog

from transcode import integrity, task_graph
from transcode.errors import DiskFull, InputMissing, MediaError, OutputTooLarge, Stopped
from transcode.integrity import MissingFiles
from transcode.ledger import JobView, Lease, LeaseState, State
from transcode.presentation import Presentation
from transcode.repository import Omissions, VideoRecord
from transcode.task_kinds import TaskKind
from transcode.tasks.registry import TaskResult
from transcode.timing import Timing
from transcode.worker.context import WorkerContext
from transcode.worker.heartbeat import StopReason

_log = structlog.get_logger(__name__)


class AttemptOutcome:
    """Ends one lease, by one of its public methods. Each waits while Redis or the database is unavailable, and raises
    ShuttingDown if the worker is shutting down meanwhile.
    """

    def __init__(self, context: WorkerContext, lease: Lease) -> None:
        self._context = context
        self._ledger = context.ledger
        self._repository = context.repository
        self._lease = lease
        self._log = _log.bind(video_id=lease.video_id, task_id=lease.task_id)

    async def on_success(self, record: VideoRecord, result: TaskResult) -> None:
        """Record the result and enqueue the follow-ups."""
        lease = self._lease
        if lease.kind == TaskKind.SEGMENT:
            await self._restore_lost_chunk(record, result)
        elif await self._ledger.renew(lease, 1.0) is not LeaseState.RUNNING:
            await self._release()
            return
        else:
            await self._record_result(record, result)
        if lease.kind in (TaskKind.PROBE, TaskKind.AUDIO):  # the current record decides what is left to do
            current = await self._repository.get(lease.video_id)
            if current is not None and lease.kind == TaskKind.PROBE and _has_changed(current.presentation, result):
                await self._release("another probe was first, and its playlists have to be published")
                return
            record = await asyncio.to_thread(integrity.without_missing, current or record, self._context.media_root)
        await self._complete(record, result)

    async def _complete(self, record: VideoRecord, result: TaskResult) -> None:
        lease = self._lease
        follow_ups = await asyncio.to_thread(task_graph.follow_ups, lease.kind, record, self._context.media_root)
        weights = task_graph.weights(record) if lease.kind == TaskKind.PROBE else None
        if await self._ledger.complete(lease, result, follow_ups, weights) is not LeaseState.SUCCEEDED:
            await self._release()
            return
        self._log.debug("task_succeeded")
        if lease.kind == TaskKind.FINALIZE:
            self._context.request_reconcile()  # its scratch folders can be swept

    async def on_error(self, error: MediaError, stop_reason: StopReason | None = None) -> None:
        """End the attempt by the reason for which the task was stopped, or else by its error."""
        if stop_reason is not None and stop_reason.counts_as_failure:
            message = f"The work was stopped: {stop_reason.value}."
            await self._fail(MediaError(message, stderr_tail=error.stderr_tail))
        elif stop_reason is not None or isinstance(error, Stopped):
            await self._release(stop_reason.value if stop_reason else "")
        elif isinstance(error, InputMissing) and self._lease.kind != TaskKind.PROBE:  # whose only input is the source
            await self._on_missing_input(error)
        elif isinstance(error, DiskFull):
            await self._on_disk_full(error)
        else:
            await self._fail(error)

    async def on_video_deleted(self) -> None:
        """Cancel the deleted video's job. An on-demand segment fails, or its waiters would request it again at once."""
        self._log.info("task_of_deleted_video_dropped")
        if self._lease.kind == TaskKind.SEGMENT:
            await self._fail(MediaError("This video was deleted.", permanent=True))
            return
        await self._ledger.cancel(self._lease.video_id)
        await self._ledger.release(self._lease)

    async def _fail(self, error: MediaError) -> None:
        """Spend an attempt."""
        self._log.warning("task_failed", attempt=self._lease.attempt, permanent=error.permanent, error=error.message)
        state = await self._ledger.fail(
            self._lease,
            error.message,
            error.stderr_tail,
            permanent=error.permanent,
            delay=retry_delay(self._lease, self._context.timing),
        )
        if state is LeaseState.DEAD:
            self._context.request_reconcile()  # the reconciler updates the repository, here and after a crash

    async def _on_disk_full(self, error: DiskFull) -> None:
        """Spend no attempt. Pause all work, unless it is this one output that is too large."""
        if isinstance(error, OutputTooLarge):
            await self._release(error.message, self._context.timing.max_retry_backoff_s)
        else:
            self._context.disk_guard.report_disk_full()
            await self._release(error.message)

    async def _on_missing_input(self, error: InputMissing) -> None:
        """Have the input made again, and then the task, unless the video was deleted."""
        record = await self._repository.get(self._lease.video_id)
        if record is None:
            await self.on_video_deleted()
            return
        self._log.warning("task_input_missing", error=error.message)
        if self._lease.kind == TaskKind.SEGMENT:
            await self._retry_after_rebuild(record, error)
            return
        state = await self._ledger.restart_job(self._lease, task_graph.probe_task(), error.message, error.stderr_tail)
        if state is not LeaseState.QUEUED:
            self._context.request_reconcile()

    async def _release(self, reason: str = "", delay: float = 0) -> None:
        """Give the task back, to be claimed after `delay` seconds. No attempt is spent."""
        lease = self._lease
        state = await self._ledger.release(lease, delay, reason)
        self._log.info("task_released", state=state, reason=reason or "its lease is not in force")
        # Viewers seek away all the time.
        was_withdrawn = lease.kind == TaskKind.SEGMENT and state is LeaseState.CANCELLED
        if state not in (LeaseState.QUEUED, LeaseState.RETRYING) and not was_withdrawn:
            self._context.request_reconcile()  # the video may be deleted, or Redis emptied

    async def _record_result(self, record: VideoRecord, result: TaskResult) -> None:
        lease = self._lease
        if lease.kind == TaskKind.PROBE:
            await self._repository.set_presentation(lease.video_id, Presentation.from_json(result))
        elif lease.kind == TaskKind.FINALIZE:
            job = await self._ledger.views.job(lease.video_id)
            omissions = omissions_of(record, job) if job else record.omissions
            await self._repository.mark_finished(lease.video_id, result, omissions)
        else:
            await self._repository.mark_task_done(lease.video_id, lease.kind, lease.index, result)

    async def _restore_lost_chunk(self, record: VideoRecord, result: TaskResult) -> None:
        """Schedule the segment's chunk again if it counted as done, because then its file had been lost.

        An on-demand segment itself is not recorded. Its chunk encodes it again as it was, so that its listed size is
        right again.
        """
        chunk = task_graph.chunk_of(record, self._lease.index)
        if chunk in record.chunks_done and result.get("is_new"):
            self._log.warning("chunk_lost", chunk=chunk)
            await self._schedule_rebuild(record, MissingFiles(frozenset({chunk})))

    async def _retry_after_rebuild(self, record: VideoRecord, error: InputMissing) -> None:
        """Retry an on-demand segment after what it needs was made again, for as long as a viewer waits for it.

        Fail it if its video failed. Also without the source, because the whole volume may be missing, and then
        everything that is done would be done again.
        """
        states = await self._ledger.views.job_states([record.video_id])
        has_source = await asyncio.to_thread((self._context.media_root / record.source).exists)
        if record.is_failed or not has_source or states.get(record.video_id) is State.DEAD:
            await self._fail(error)
            return
        missing = await asyncio.to_thread(integrity.find_missing, record, self._context.media_root)
        await self._schedule_rebuild(record, missing)
        await self._release(error.message, self._context.timing.file_poll_interval_s)

    async def _schedule_rebuild(self, record: VideoRecord, missing: MissingFiles) -> None:
        """Have missing files made again, by the video's live job or by a new one."""
        await self._repository.mark_missing(record.video_id, missing.chunks, missing.kinds)
        await self._ledger.start(record.video_id, [task_graph.probe_task()], task_graph.closing())


def retry_delay(lease: Lease, timing: Timing) -> float:
    """Return the pause in seconds before the next attempt: exponential with jitter, or short if a viewer waits."""
    if lease.kind == TaskKind.SEGMENT:
        return timing.segment_retry_backoff_s
    backoff_s = min(timing.max_retry_backoff_s, timing.retry_backoff_s * 2.0 ** (lease.attempt - 1))
    return backoff_s * (1 + random.random())  # noqa: S311 - jitter, not a secret


def omissions_of(record: VideoRecord, job: JobView) -> Omissions:
    """Return what a video is published without if its job ends as it is: dead tasks whose work was never done."""
    dead = {task.kind: task.error for task in job.tasks if task.state is State.DEAD and task.kind != TaskKind.SEGMENT}
    return record.omissions.updated({kind: dead[kind] for kind in sorted(dead.keys() - record.tasks_done)}, time.time())


def _has_changed(stored: Presentation | None, probed: Mapping[str, Any]) -> bool:
    return stored is not None and stored != Presentation.from_json(probed)
