"""The catalogue says which films are unfinished, the ledger what is being done: here the two are compared.

An emptied Redis, a start that was never told to the ledger, a crash between two writes: all of them end here.
Every step is repeatable, and two workers may do it at once.
"""

from __future__ import annotations

import logging
from pathlib import Path

from transcode import schedule
from transcode.book import FilmBook
from transcode.ledger import LIVE, Ledger, State

log = logging.getLogger(__name__)


class Reconciler:
    """One round is one `once`. Raises what the ledger and the catalogue raise when they are away."""

    def __init__(self, ledger: Ledger, book: FilmBook, root: Path) -> None:
        self._ledger = ledger
        self._book = book
        self._root = root

    async def once(self) -> None:
        """Open a job for every unfinished film that has none; tell the catalogue of jobs that are dead."""
        films = await self._book.unfinished()
        states = await self._ledger.states(films)
        for film in films:
            state = states.get(film)
            if state is State.DEAD:
                await self._bury(film)
            elif state not in LIVE:
                await self._open(film)

    async def _bury(self, film: int) -> None:
        job = await self._ledger.job(film)
        if job is None or job.state is not State.DEAD:  # requeued meanwhile
            return
        await self._book.failed(film, job.error)
        await self._ledger.film_changed(film)
        log.warning("film_failed film=%s: %s", film, job.error)

    async def _open(self, film: int) -> None:
        entry = await self._book.entry(film)
        if entry is None:
            return
        total, base = schedule.weights(entry)
        tasks = schedule.opening(entry, self._root)
        job, new = await self._ledger.start(film, tasks, schedule.finish(), total=total, base=base)
        if new:
            log.info("job_opened film=%s job=%s tasks=%s", film, job, len(tasks))
