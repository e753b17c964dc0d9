"""One lease from its claim to its end: the work is handed to the pool while a heart keeps the lease, then settled."""

from __future__ import annotations

import asyncio
import logging
import shutil
import traceback
from pathlib import Path

from transcode import paths, task_graph
from transcode.errors import DiskFull, InputMissing, InternalError, MediaError, Stopped, from_os_error
from transcode.ledger import Lease
from transcode.repository import VideoRecord
from transcode.task_kinds import TaskKind
from transcode.tasks.context import TaskContext
from transcode.tasks.registry import TaskResult
from transcode.worker.context import ShuttingDown, WorkerContext
from transcode.worker.heartbeat import Heartbeat
from transcode.worker.outcome import AttemptOutcome

log = logging.getLogger(__name__)


class Attempt:
    """One lease on one slot. `run` raises nothing: a bug fails the task, and the worker goes on."""

    def __init__(self, context: WorkerContext, lease: Lease, slot: int) -> None:
        self._context = context
        self._lease = lease
        self._slot = slot
        self._heartbeat = Heartbeat(context, lease, slot)
        self._outcome = AttemptOutcome(context, lease)

    @property
    def _scratch_dir(self) -> Path:
        """Where this attempt writes; nobody else does."""
        return paths.attempt_dir(self._context.media_root, self._lease.video_id, self._lease.token)

    def wake(self) -> None:
        """Something was cancelled, or the worker leaves: look now instead of at the next heartbeat."""
        self._heartbeat.wake()

    async def run(self) -> None:
        """Do the task; the lease is settled, released or lost afterwards."""
        try:
            async with asyncio.TaskGroup() as group:  # a heart that stops for a bug stops the work with it
                beating = group.create_task(self._heartbeat.run())
                try:
                    await self._run()
                finally:
                    self._heartbeat.stop()
                    beating.cancel()
        except* ShuttingDown:
            log.warning("task_left film=%s task=%s", self._lease.video_id, self._lease.task_id)
        except* Exception as bugs:
            await self._on_internal_error(bugs)
        finally:
            await asyncio.to_thread(shutil.rmtree, self._scratch_dir, ignore_errors=True)

    async def _run(self) -> None:
        lease = self._lease
        entry: VideoRecord | None = await self._context.retry_until_available(
            lambda: self._context.repository.get(lease.video_id)
        )
        if entry is None:
            await self._outcome.on_video_deleted()
            return
        log.debug("task_begins film=%s task=%s attempt=%s", lease.video_id, lease.task_id, lease.attempt)
        try:
            result = await self._run_in_pool(entry)
        except MediaError as error:
            await self._on_failure(error)
        else:
            await self._outcome.on_success(entry, result)

    async def _run_in_pool(self, record: VideoRecord) -> TaskResult:
        try:
            await asyncio.to_thread(self._scratch_dir.mkdir, parents=True, exist_ok=True)
        except OSError as error:
            raise from_os_error(error) from error
        self._heartbeat.start_monitoring(record)
        working = asyncio.ensure_future(self._context.pool.run(self._slot, self._task_context(record)))
        judged = asyncio.ensure_future(self._heartbeat.stop_requested.wait())
        try:
            if self._lease.kind == TaskKind.SEGMENT:
                await self._promote_chunks(record)
            await asyncio.wait({working, judged}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            judged.cancel()
            if not working.done():
                await self._stop_child(working)
            self._heartbeat.stop_monitoring()
        return working.result()

    async def _stop_child(self, pool_future: asyncio.Future[TaskResult]) -> None:
        """Ask the child to stop; kill it when it does not."""
        self._context.pool.request_stop(self._slot)
        await asyncio.wait({pool_future}, timeout=self._context.timing.stop_timeout_s)
        while not pool_future.done():
            log.warning("pool_child_killed film=%s task=%s: it did not stop", self._lease.video_id, self._lease.task_id)
            self._context.pool.kill(self._slot)
            await asyncio.wait({pool_future}, timeout=self._context.timing.stop_timeout_s)

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
        """A viewer looks here: the chunk around the segment, then the next one, go before all others."""
        film, ledger = self._lease.video_id, self._context.ledger
        for chunk in reversed(task_graph.nearby_chunks(record, self._lease.index)):
            await self._context.retry_until_available(lambda chunk=chunk: ledger.promote(film, chunk))  # type: ignore[misc]

    async def _on_failure(self, error: MediaError) -> None:
        """A verdict outweighs what the work says of its end, for it was stopped by it."""
        verdict = self._heartbeat.stop_reason
        if verdict is not None and verdict.counts_as_failure:
            sentence = f"The work was stopped: {verdict.value}."
            await self._outcome.on_failure(MediaError(sentence, stderr_tail=error.stderr_tail))
        elif verdict is not None or isinstance(error, Stopped):
            await self._outcome.release(verdict.value if verdict else "")
        elif isinstance(error, InputMissing) and self._lease.kind != TaskKind.PROBE:  # which builds on nothing
            await self._outcome.on_missing_input(error)
        elif isinstance(error, DiskFull):
            await self._outcome.on_disk_full(error)
        else:
            await self._outcome.on_failure(error)

    async def _on_internal_error(self, errors: BaseExceptionGroup[Exception]) -> None:
        """As any failure of the task; when not even that can be told, the lease will expire."""
        log.error("task_stumbles film=%s task=%s", self._lease.video_id, self._lease.task_id, exc_info=errors)
        try:
            await self._outcome.on_failure(InternalError(stderr_tail="".join(traceback.format_exception(errors))))
        except Exception:  # Left among them
            log.exception("task_left film=%s task=%s", self._lease.video_id, self._lease.task_id)
