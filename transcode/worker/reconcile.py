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

from transcode import schedule
from transcode.book import FilmBook, FilmEntry
from transcode.ledger import LIVE, Ledger, NewTask, State
from transcode.losses import as_found, losses
from transcode.worker.bench import AWAY
from transcode.worker.settling import omissions_of

log = logging.getLogger(__name__)


_AT_A_TIME = 10  # finished films whose files are looked for: of a thousand each is, once in an hour


class Reconciler:
    """One round is one `once`. Raises what the ledger and the catalogue raise when they are away."""

    def __init__(self, ledger: Ledger, book: FilmBook, root: Path) -> None:
        self._ledger = ledger
        self._book = book
        self._root = root
        self._looked_at = 0  # the last finished film

    async def once(self) -> None:
        """Open a job for every unfinished film that has none, and for some finished ones that are not whole; tell
        the catalogue of jobs that are dead.
        """
        await self._unfinished()
        await self._finished()

    async def _unfinished(self) -> None:
        """The ledger is asked first: a film is in the catalogue before its job is opened."""
        at_work = await self._ledger.at_work()
        films = await self._book.unfinished()
        for film in at_work.difference(films):
            with _alone(film):
                await self._stop_unwanted(film)
        states = await self._ledger.states(films)
        for film in films:
            with _alone(film):
                state = states.get(film)
                if state is State.DEAD:
                    await self._bury(film)
                elif state not in LIVE:
                    await self._open(film)

    async def _stop_unwanted(self, film: int) -> None:
        """Its cancel or its deletion never reached the ledger. A film that is ready ends its job by itself."""
        entry = await self._book.entry(film)
        if entry is None or entry.failed:
            log.warning("job_cancelled film=%s: the catalogue has no work for it", film)
            await self._ledger.cancel(film)

    async def _bury(self, film: int) -> None:
        job, entry = await self._ledger.job(film), await self._book.entry(film)
        if job is None or job.state is not State.DEAD or entry is None:  # requeued or deleted meanwhile
            return
        if schedule.is_encoded(await asyncio.to_thread(as_found, entry, self._root)):
            # It plays to its end: that something else could not be made is no reason to take it away.
            await self._book.ready_without(film, omissions_of(entry, job))
            log.warning("film_incomplete film=%s: %s", film, job.error)
            return
        await self._book.failed(film, job.error)
        await self._ledger.film_changed(film)
        log.warning("film_failed film=%s: %s", film, job.error)

    async def _open(self, film: int, first: Sequence[NewTask] = (schedule.probe(),)) -> None:
        """Every job begins with the probe, which is quick for a film that was probed before."""
        job, new = await self._ledger.start(film, first, schedule.closing())
        if new:
            log.info("job_opened film=%s job=%s", film, job)

    async def _finished(self) -> None:
        """Some more of them in every round."""
        films = await self._book.finished_after(self._looked_at, _AT_A_TIME)
        states = await self._ledger.states(entry.film for entry in films)
        for entry in films:
            state = states.get(entry.film)
            with _alone(entry.film):
                if state not in LIVE and not await self._try_again(entry) and state is not State.DEAD:
                    await self._mend(entry)  # unless that was tried in vain
        self._looked_at = films[-1].film if films else 0

    async def _try_again(self, entry: FilmEntry) -> bool:
        """Begin what a film was published without once more, if its time has come. Return whether a job was opened.

        The try is counted before it: whatever becomes of the job, tries are few and far between.
        """
        kinds, now = entry.omissions.sentences, time.time()
        if not kinds or now < schedule.retry_at(entry.omissions, self._ledger.times):
            return False
        reads = schedule.needs_source(kinds)
        if reads and not await asyncio.to_thread((self._root / entry.source).exists):
            return False
        await self._book.set_omissions(entry.film, entry.omissions.tried(now))
        log.info("omissions_tried_again film=%s kinds=%s", entry.film, sorted(kinds))
        await self._open(entry.film, [schedule.probe()] if reads else [])
        return True

    async def _mend(self, entry: FilmEntry) -> None:
        """A film that is ready stays it while what it lost is made again."""
        lost = await asyncio.to_thread(losses, entry, self._root)
        if not lost and schedule.is_done(entry):
            return
        # Without the source nothing can be made, and perhaps it is the whole volume that is away.
        if not await asyncio.to_thread((self._root / entry.source).exists):
            return
        log.warning("film_damaged film=%s chunks=%s kinds=%s", entry.film, sorted(lost.chunks), sorted(lost.kinds))
        await self._book.lost(entry.film, lost.chunks, lost.kinds)
        await self._open(entry.film)


@contextmanager
def _alone(film: int) -> Iterator[None]:
    """A film that nobody can make sense of keeps no other from being looked after."""
    try:
        yield
    except AWAY:
        raise
    except Exception:
        log.exception("film_skipped film=%s", film)
