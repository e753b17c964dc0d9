"""One attempt at a task, from the claim of its lease to its outcome."""

from __future__ import annotations

import asyncio
import shutil
import traceback

import structlog

from transcode import paths, task_graph
from transcode.errors import InternalError, MediaError, from_os_error
from transcode.ledger import Lease
from transcode.repository import VideoRecord
from transcode.task_kinds import TaskKind
from transcode.tasks.context import TaskContext
from transcode.tasks.registry import TaskResult
from transcode.worker.context import WorkerContext
from transcode.worker.heartbeat import Heartbeat
from transcode.worker.outages import ShuttingDown
from transcode.worker.outcome import AttemptOutcome

_log = structlog.get_logger(__name__)


class Attempt:
    """One lease on one slot: runs the task in the pool under a heartbeat, then records one outcome."""

    def __init__(self, context: WorkerContext, lease: Lease, slot: int) -> None:
        self._context = context
        self._lease = lease
        self._slot = slot
        self._scratch_dir = paths.attempt_dir(context.media_root, lease.video_id, lease.token)  # of this attempt alone
        self._heartbeat = Heartbeat(context, lease, slot)
        self._log = _log.bind(video_id=lease.video_id, task_id=lease.task_id)

    def wake(self) -> None:
        """Check for a cancellation or a shutdown now rather than at the next heartbeat."""
        self._heartbeat.wake()

    async def run(self) -> None:
        """Run the task and end its lease: completed, failed or released, unless it was lost.

        Raises nothing: a bug fails the task, and the worker continues.
        """
        try:
            async with self._heartbeat.renewing():
                await self._run()
        except* ShuttingDown:
            self._log.warning("task_abandoned")
        except* Exception as errors:
            await self._on_internal_error(errors)
        finally:
            await asyncio.to_thread(shutil.rmtree, self._scratch_dir, ignore_errors=True)

    async def _run(self) -> None:
        record = await self._context.repository.get(self._lease.video_id)
        if record is None:
            await AttemptOutcome(self._context, self._lease).on_video_deleted()
            return
        self._log.debug("task_started", attempt=self._lease.attempt)
        try:
            result = await self._run_in_pool(record)
        except MediaError as error:
            await AttemptOutcome(self._context, self._lease).on_error(error, self._heartbeat.stop_reason)
        else:
            await AttemptOutcome(self._context, self._lease).on_success(record, result)

    async def _run_in_pool(self, record: VideoRecord) -> TaskResult:
        try:
            await asyncio.to_thread(self._scratch_dir.mkdir, parents=True, exist_ok=True)
        except OSError as error:
            raise from_os_error(error) from error
        with self._heartbeat.monitoring(record):
            task = asyncio.ensure_future(self._context.pool.run(self._slot, self._task_context(record)))
            stop_requested = asyncio.ensure_future(self._heartbeat.stop_requested.wait())
            try:
                if self._lease.kind == TaskKind.SEGMENT:
                    await self._promote_chunks(record)
                await asyncio.wait({task, stop_requested}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stop_requested.cancel()
                if not task.done():
                    await self._stop_child(task)
        return task.result()

    async def _stop_child(self, pool_future: asyncio.Future[TaskResult]) -> None:
        """Ask the child to stop, and kill it if it does not."""
        timeout_s = self._context.timing.stop_timeout_s
        self._context.pool.request_stop(self._slot)
        await asyncio.wait({pool_future}, timeout=timeout_s)
        while not pool_future.done():
            self._log.warning("pool_child_killed")
            self._context.pool.kill(self._slot)
            await asyncio.wait({pool_future}, timeout=timeout_s)

    def _task_context(self, record: VideoRecord) -> TaskContext:
        return TaskContext(
            kind=self._lease.kind,
            video_id=self._lease.video_id,
            source=str(self._context.media_root / record.source),
            media_root=self._context.media_root,
            scratch_dir=self._scratch_dir,
            binaries=self._context.binaries,
            known_presentation=record.presentation,
            index=self._lease.index,
            rendition=self._lease.rendition or None,
            reserve_bytes=self._context.disk_guard.min_free,
        )

    async def _promote_chunks(self, record: VideoRecord) -> None:
        """Put the chunk that the viewer watches before all others, and the next one behind it."""
        for chunk_id in reversed(task_graph.nearby_chunks(record, self._lease.index)):
            await self._context.ledger.promote(self._lease.video_id, chunk_id)

    async def _on_internal_error(self, errors: BaseExceptionGroup[Exception]) -> None:
        """Fail the task. If even that fails, the lease will expire."""
        self._log.error("task_crashed", exc_info=errors)
        try:
            error = InternalError(stderr_tail="".join(traceback.format_exception(errors)))
            await AttemptOutcome(self._context, self._lease).on_error(error)
        except Exception:  # ShuttingDown among others
            self._log.exception("task_abandoned")
