"""The catalogue says which films are unfinished, the ledger what is being done: here the two are compared.

An emptied Redis, a start or a cancel that was never told to the ledger, a crash between two writes: all of them
end here. So do files of finished films that are not there any more.
Every step is repeatable, and two workers may do it at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from transcode import task_graph
from transcode.integrity import find_missing, without_missing
from transcode.ledger import LIVE, Ledger, NewTask, State
from transcode.repository import VideoRecord, VideoRepository
from transcode.worker.outcome import omissions_of
from transcode.worker.retrying import UNAVAILABLE_ERRORS

log = logging.getLogger(__name__)


_FINISHED_BATCH_SIZE = 10  # finished films whose files are looked for: of a thousand each is, once in an hour


class Reconciler:
    """One round is one `once`. Raises what the ledger and the catalogue raise when they are away."""

    def __init__(self, ledger: Ledger, repository: VideoRepository, media_root: Path) -> None:
        self._ledger = ledger
        self._repository = repository
        self._media_root = media_root
        self._last_checked_id = 0  # the last finished film

    async def run_once(self) -> None:
        """Open a job for every unfinished film that has none, and for some finished ones that are not whole; tell
        the catalogue of jobs that are dead.
        """
        await self._reconcile_unfinished()
        await self._reconcile_finished()

    async def _reconcile_unfinished(self) -> None:
        """The ledger is asked first: a film is in the catalogue before its job is opened."""
        at_work = await self._ledger.views.list_active_ids()
        films = await self._repository.list_unfinished()
        for film in at_work.difference(films):
            with _isolated(film):
                await self._cancel_orphaned(film)
        states = await self._ledger.views.job_states(films)
        for film in films:
            with _isolated(film):
                state = states.get(film)
                if state is State.DEAD:
                    await self._mark_failed(film)
                elif state not in LIVE:
                    await self._start_job(film)

    async def _cancel_orphaned(self, video_id: int) -> None:
        """Its cancel or its deletion never reached the ledger. A film that is ready ends its job by itself."""
        entry = await self._repository.get(video_id)
        if entry is None or entry.is_failed:
            log.warning("job_cancelled film=%s: the catalogue has no work for it", video_id)
            await self._ledger.cancel(video_id)

    async def _mark_failed(self, video_id: int) -> None:
        job, entry = await self._ledger.views.job(video_id), await self._repository.get(video_id)
        if job is None or job.state is not State.DEAD or entry is None:  # requeued or deleted meanwhile
            return
        if task_graph.is_encoded(await asyncio.to_thread(without_missing, entry, self._media_root)):
            # It plays to its end: that something else could not be made is no reason to take it away.
            await self._repository.mark_ready_without(video_id, omissions_of(entry, job))
            log.warning("film_incomplete film=%s: %s", video_id, job.error)
            return
        await self._repository.mark_failed(video_id, job.error)
        await self._ledger.publish_video_changed(video_id)

    async def _start_job(self, video_id: int, first: Sequence[NewTask] = (task_graph.probe_task(),)) -> None:
        """Every job begins with the probe, which is quick for a film that was probed before."""
        job, new = await self._ledger.start(video_id, first, task_graph.closing())
        if new:
            log.info("job_opened film=%s job=%s", video_id, job)

    async def _reconcile_finished(self) -> None:
        """Some more of them in every round."""
        films = await self._repository.list_finished_after(self._last_checked_id, _FINISHED_BATCH_SIZE)
        states = await self._ledger.views.job_states(entry.video_id for entry in films)
        for entry in films:
            state = states.get(entry.video_id)
            with _isolated(entry.video_id):
                if state not in LIVE and not await self._try_again(entry) and state is not State.DEAD:
                    await self._repair(entry)  # unless that was tried in vain
        self._last_checked_id = films[-1].video_id if films else 0

    async def _try_again(self, entry: VideoRecord) -> bool:
        """Begin what a film was published without once more, if its time has come. Return whether a job was opened.

        The try is counted before it: whatever becomes of the job, tries are few and far between.
        """
        kinds, now = entry.omissions.sentences, time.time()
        if not kinds or now < task_graph.retry_at(entry.omissions, self._ledger.timing):
            return False
        reads = task_graph.needs_source(kinds)
        if reads and not await asyncio.to_thread((self._media_root / entry.source).exists):
            return False
        await self._repository.set_omissions(entry.video_id, entry.omissions.tried(now))
        log.info("omissions_tried_again film=%s kinds=%s", entry.video_id, sorted(kinds))
        await self._start_job(entry.video_id, [task_graph.probe_task()] if reads else [])
        return True

    async def _repair(self, record: VideoRecord) -> None:
        """A film that is ready stays it while what it lost is made again."""
        lost = await asyncio.to_thread(find_missing, record, self._media_root)
        if not lost and task_graph.is_done(record):
            return
        # Without the source nothing can be made, and perhaps it is the whole volume that is away.
        if not await asyncio.to_thread((self._media_root / record.source).exists):
            return
        log.warning("film_damaged film=%s chunks=%s kinds=%s", record.video_id, sorted(lost.chunks), sorted(lost.kinds))
        await self._repository.mark_missing(record.video_id, lost.chunks, lost.kinds)
        await self._start_job(record.video_id)


@contextmanager
def _isolated(video_id: int) -> Iterator[None]:
    """A film that nobody can make sense of keeps no other from being looked after."""
    try:
        yield
    except UNAVAILABLE_ERRORS:
        raise
    except Exception:
        log.exception("film_skipped film=%s", video_id)
