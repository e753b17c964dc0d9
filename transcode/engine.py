"""What web processes use of the engine: start and cancel films, look at the work, wait for segments."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

from transcode import layout, schedule
from transcode.ledger import (
    JobView,
    LeaseState,
    Ledger,
    LedgerUnavailable,
    NewTask,
    Progress,
    SegmentNotice,
    TaskView,
)
from transcode.places import Busy, Places
from transcode.waiting import end

log = logging.getLogger(__name__)


class SegmentFailed(Exception):
    """This segment cannot be made at the moment; the sentence says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Engine:
    """One per web process. Use it inside a running event loop, and `close` it there."""

    def __init__(self, ledger: Ledger, media_root: Path, *, max_waiters: int = 64) -> None:
        self._ledger = ledger
        self._root = media_root
        self._places = Places(max_waiters)
        self._notices = ledger.notices()
        self._notices.on_segment.append(self._segment_notice)
        self._notices.on_film.append(self._film_notice)
        self._notices.on_gap.append(self._look_all)
        self._listening: asyncio.Task[None] | None = None
        self._wishes: dict[tuple[int, str, int], _Wish] = {}
        self._fulfilling: set[asyncio.Task[None]] = set()  # also of wishes that newer ones took the places of
        self._farewells: set[asyncio.Task[None]] = set()
        self._watchers: list[Callable[[int], None]] = []

    async def close(self) -> None:
        """Stop waiting and listening. Repeatable."""
        await end(self._fulfilling)
        await asyncio.gather(*self._farewells, return_exceptions=True)
        if self._listening is not None:
            await end([self._listening])
            self._listening = None

    # Films --------------------------------------------------------------------------------------------------

    async def start(self, film: int) -> None:
        """Begin, or go on with, a film that the catalogue calls unfinished. Repeatable.

        With Redis away this only logs: workers open a job for every unfinished film that has none.
        """
        try:
            await self._ledger.start(film, [schedule.probe()], schedule.closing())
        except LedgerUnavailable as error:
            log.warning("start_waits film=%s: %s", film, error)

    async def cancel(self, film: int) -> None:
        """Stop all work on a film that the catalogue does not call unfinished any more. Repeatable.

        Returns when no worker writes for it; one that does not answer is not waited for long. With Redis away
        this only logs: workers cancel every job of a film that is not unfinished.
        """
        try:
            await self._cancel(film)
        except LedgerUnavailable as error:
            log.warning("cancel_waits film=%s: %s", film, error)

    async def delete(self, film: int, source: str) -> None:
        """Stop all work on a film that is deleted in the catalogue, and remove every file of it. Repeatable.

        What cannot be done now, or is written later by a worker that was paused, workers sweep.
        """
        try:
            await self._cancel(film)
            await self._ledger.forget(film)
            await self._ledger.film_changed(film)
        except LedgerUnavailable as error:
            log.warning("delete_waits film=%s: %s", film, error)
        for place in await asyncio.to_thread(layout.remains, self._root, film, source):
            await asyncio.to_thread(layout.remove, place)

    async def forget(self, film: int) -> None:
        """Make room for a new job of a film whose last one is over. Raises LedgerUnavailable."""
        await self._ledger.forget(film)

    async def _cancel(self, film: int) -> None:
        until = time.monotonic() + self._ledger.times.cancel_patience
        held = await self._ledger.cancel(film)
        while held and time.monotonic() < until:
            await asyncio.sleep(0.05)
            held = await self._ledger.held(film)
        if held:
            log.warning("cancel_unanswered film=%s leases=%s", film, held)

    async def jobs(self, limit: int = 100) -> list[dict[str, Any]]:
        """Jobs with their tasks as JSON-able objects, newest first. Raises LedgerUnavailable."""
        return [_row(job) for job in await self._ledger.jobs(limit)]

    async def job_states(self) -> Counter[str]:
        """How many jobs are in each state. Raises LedgerUnavailable."""
        return Counter(state.value for state in (await self._ledger.all_states()).values())

    async def task_states(self, most: int = 100) -> Counter[str]:
        """How many tasks are in each state, of the oldest jobs that are not over. Raises LedgerUnavailable."""
        return await self._ledger.task_states(sorted(await self._ledger.at_work())[:most])

    async def progress(self, films: Iterable[int]) -> dict[int, Progress]:
        """How far the films are that have a job. Raises LedgerUnavailable."""
        return await self._ledger.progress(films)

    def on_film_changed(self, callback: Callable[[int], None]) -> None:
        """Be called, quickly, with the id of every film that changes; listening begins with this call."""
        self._watchers.append(callback)
        self._listen()

    def on_missed_changes(self, callback: Callable[[], None]) -> None:
        """Be called, quickly, whenever listening begins (again) and changes before that may have gone unheard."""
        self._notices.on_gap.append(callback)
        self._listen()

    async def publish_film_changed(self, film: int) -> None:
        """Tell every process. Raises LedgerUnavailable."""
        await self._ledger.film_changed(film)

    # Segments -----------------------------------------------------------------------------------------------

    @property
    def waiters(self) -> int:
        """How many requests wait for segments in this process."""
        return self._places.taken

    async def want_segment(
        self, film: int, rendition: str, number: int, viewer: Hashable = None, waited: float = 0
    ) -> None:
        """Wait until a segment that is not there yet is published. `viewer`: any key of who asks, for a fair share;
        `waited`: seconds that the request has taken so far, for players count those too.

        However many wait for the same one, it is encoded once; when the last waiter goes, that is cancelled.
        Raises Busy or SegmentFailed.
        """
        file = layout.segment_path(self._root, film, rendition, number)
        if await asyncio.to_thread(file.exists):
            return
        with self._places.taken_by(viewer):
            await self._wait(self._wish(film, rendition, number, file), self._ledger.times.wait_segment - waited)

    async def _wait(self, wish: _Wish, patience: float) -> None:
        wish.waiters += 1
        try:
            async with asyncio.timeout(patience):
                await asyncio.shield(wish.task)
        except TimeoutError:
            raise Busy(5) from None
        finally:
            wish.waiters -= 1
            if not wish.waiters:
                wish.task.cancel()

    def _wish(self, film: int, rendition: str, number: int, file: Path) -> _Wish:
        self._listen()
        key = (film, rendition, number)
        wish = self._wishes.get(key)
        if wish is None or wish.task.done() or not wish.waiters:
            spec = schedule.segment(rendition, number)
            wish = self._wishes[key] = _Wish(self._ledger, film, spec, file)
            self._fulfilling.add(wish.task)
            wish.task.add_done_callback(lambda _: self._over(key, wish))
        return wish

    def _over(self, key: tuple[int, str, int], wish: _Wish) -> None:
        if self._wishes.get(key) is wish:
            del self._wishes[key]
        self._fulfilling.discard(wish.task)
        farewell = asyncio.ensure_future(wish.withdraw())
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)
        if not wish.task.cancelled():
            wish.task.exception()  # seen, also when nobody waits for it any more

    # Messages -----------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        if self._listening is None or self._listening.done():
            self._listening = asyncio.ensure_future(self._notices.run())

    def _segment_notice(self, notice: SegmentNotice) -> None:
        wish = self._wishes.get((notice.film, notice.rendition, notice.number))
        if wish is not None:
            wish.ask_again()

    def _film_notice(self, film: int) -> None:
        for key, wish in self._wishes.items():
            if key[0] == film:
                wish.look.set()
        for callback in self._watchers:
            callback(film)

    def _look_all(self) -> None:
        for wish in self._wishes.values():
            wish.look.set()


class _Wish:
    """All that wait in this process for one segment."""

    def __init__(self, ledger: Ledger, film: int, spec: NewTask, file: Path) -> None:
        self._ledger = ledger
        self._name = secrets.token_hex(8)  # its own: a farewell that comes late ends no newer wish for the same segment
        self._film = film
        self._spec = spec
        self._file = file
        self.waiters = 0
        self.look = asyncio.Event()
        self._asked_at = float("-inf")
        self.task = asyncio.ensure_future(self._fulfil())

    async def _fulfil(self) -> None:
        """Until the file is there. Raises SegmentFailed. Asking again keeps the wish alive, and outlives Redis."""
        while not await asyncio.to_thread(self._file.exists):
            self.look.clear()
            if time.monotonic() - self._asked_at >= self._ledger.times.look:
                await self._ask()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._ledger.times.look):
                    await self.look.wait()

    def ask_again(self) -> None:
        """Look for the file, and when it is still missing ask what became of the task."""
        self._asked_at = float("-inf")
        self.look.set()

    async def _ask(self) -> None:
        self._asked_at = time.monotonic()
        try:
            state, sentence = await self._ledger.want(self._film, self._spec, self._name)
        except LedgerUnavailable as error:
            log.warning("segment_waits film=%s task=%s: %s", self._film, self._spec.id, error)
            return
        if state is LeaseState.DEAD:
            raise SegmentFailed(sentence)

    async def withdraw(self) -> None:
        """Nobody waits here any more; an interest that cannot be withdrawn expires."""
        try:
            await self._ledger.unwant(self._film, self._spec, self._name)
        except LedgerUnavailable as error:
            log.warning("unwant_waits film=%s task=%s: %s", self._film, self._spec.id, error)


def _row(job: JobView) -> dict[str, Any]:
    """As the admin's list shows it: `progress` is in per cent, for the job and for every task."""
    row = {name: getattr(job, name) for name in JobView.__slots__ if name != "percent"}
    return {**row, "progress": job.percent, "tasks": [_task_row(task) for task in job.tasks]}


def _task_row(task: TaskView) -> dict[str, Any]:
    """Not by `asdict`, which took the better part of a second for the tasks of a hundred long films."""
    row = {name: getattr(task, name) for name in TaskView.__slots__}
    return {**row, "progress": round(100 * task.progress, 1)}
