"""Reconciles the repository, which knows the unfinished videos, with the ledger, which knows the jobs.

Repairs what an emptied Redis, a start or a cancellation that never reached the ledger, or a crash between two writes
left behind, and has lost files of finished videos made again. Every step is idempotent, and several workers may
reconcile at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from transcode import task_graph
from transcode.integrity import find_missing, without_missing
from transcode.ledger import LIVE, Ledger, NewTask, State
from transcode.repository import VideoRecord, VideoRepository
from transcode.worker.outages import UNAVAILABLE_ERRORS
from transcode.worker.outcome import omissions_of

_log = structlog.get_logger(__name__)


_FINISHED_BATCH_SIZE = 10  # finished videos checked per round: each of a thousand is checked about once an hour


class Reconciler:
    """Runs one round per `run_once`, which raises LedgerUnavailable or RepositoryUnavailable during an outage."""

    def __init__(self, ledger: Ledger, repository: VideoRepository, media_root: Path) -> None:
        self._ledger = ledger
        self._repository = repository
        self._media_root = media_root
        self._last_checked_id = 0  # of the finished videos

    async def run_once(self) -> None:
        """Open jobs for unfinished videos that have none and for some finished ones with missing files, and mark videos
        with dead jobs as failed.
        """
        await self._reconcile_unfinished()
        await self._reconcile_finished()

    async def _reconcile_unfinished(self) -> None:
        """Read the ledger first, because a video is in the repository before its job is opened."""
        active_ids = await self._ledger.views.list_active_ids()
        unfinished_ids = await self._repository.list_unfinished()
        for video_id in active_ids.difference(unfinished_ids):
            with _isolated(video_id):
                await self._cancel_orphaned(video_id)
        states = await self._ledger.views.job_states(unfinished_ids)
        for video_id in unfinished_ids:
            with _isolated(video_id):
                state = states.get(video_id)
                if state is State.DEAD:
                    await self._mark_failed(video_id)
                elif state not in LIVE:
                    await self._start_job(video_id)

    async def _cancel_orphaned(self, video_id: int) -> None:
        """Cancel the job of a video whose cancellation or deletion never reached the ledger.

        The job of a ready video ends by itself.
        """
        record = await self._repository.get(video_id)
        if record is None or record.is_failed:
            _log.warning("orphaned_job_cancelled", video_id=video_id)
            await self._ledger.cancel(video_id)

    async def _mark_failed(self, video_id: int) -> None:
        job, record = await self._ledger.views.job(video_id), await self._repository.get(video_id)
        if job is None or job.state is not State.DEAD or record is None:  # retried or deleted meanwhile
            return
        if task_graph.is_encoded(await asyncio.to_thread(without_missing, record, self._media_root)):
            # It can be played to the end, so what else could not be made is no reason to withdraw it.
            await self._repository.mark_ready_without(video_id, omissions_of(record, job))
            _log.warning("video_incomplete", video_id=video_id, error=job.error)
            return
        await self._repository.mark_failed(video_id, job.error)
        await self._ledger.publish_video_changed(video_id)

    async def _start_job(self, video_id: int, first: Sequence[NewTask] = (task_graph.probe_task(),)) -> None:
        """Open a job. It starts with the probe, which is quick for a video that was probed before."""
        job = await self._ledger.start(video_id, first, task_graph.closing())
        if job.is_new:
            _log.info("job_opened", video_id=video_id, job_id=job.job_id)

    async def _reconcile_finished(self) -> None:
        """Check the next batch of finished videos."""
        records = await self._repository.list_finished_after(self._last_checked_id, _FINISHED_BATCH_SIZE)
        states = await self._ledger.views.job_states(record.video_id for record in records)
        for record in records:
            state = states.get(record.video_id)
            with _isolated(record.video_id):
                if state not in LIVE and not await self._retry_omissions(record) and state is not State.DEAD:
                    await self._repair(record)  # a dead job means that the repair has failed
        self._last_checked_id = records[-1].video_id if records else 0

    async def _retry_omissions(self, record: VideoRecord) -> bool:
        """Retry what a video was published without, if the retry is due. Return whether a job was opened.

        The retry is counted before it starts, so that retries are few whatever happens to the job.
        """
        kinds, now = record.omissions.sentences, time.time()
        if not kinds or now < task_graph.retry_at(record.omissions, self._ledger.timing):
            return False
        needs_source = task_graph.needs_source(kinds)
        if needs_source and not await asyncio.to_thread((self._media_root / record.source).exists):
            return False
        await self._repository.set_omissions(record.video_id, record.omissions.tried(now))
        _log.info("omissions_retried", video_id=record.video_id, kinds=sorted(kinds))
        await self._start_job(record.video_id, [task_graph.probe_task()] if needs_source else [])
        return True

    async def _repair(self, record: VideoRecord) -> None:
        """Have missing files made again. The video stays ready meanwhile."""
        missing = await asyncio.to_thread(find_missing, record, self._media_root)
        if not missing and task_graph.is_done(record):
            return
        # Without the source nothing can be made, and perhaps the whole volume is missing.
        if not await asyncio.to_thread((self._media_root / record.source).exists):
            return
        _log.warning(
            "files_missing", video_id=record.video_id, chunks=sorted(missing.chunks), kinds=sorted(missing.kinds)
        )
        await self._repository.mark_missing(record.video_id, missing.chunks, missing.kinds)
        await self._start_job(record.video_id)


@contextmanager
def _isolated(video_id: int) -> Iterator[None]:
    """Log an unexpected error: one broken video must not stop the round."""
    try:
        yield
    except UNAVAILABLE_ERRORS:
        raise
    except Exception:
        _log.exception("video_skipped", video_id=video_id)
