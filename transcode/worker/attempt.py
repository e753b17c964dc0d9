"""One lease from its claim to its end: the work is handed to the pool while a heart keeps the lease, then settled."""

from __future__ import annotations

import asyncio
import logging
import shutil
import traceback
from pathlib import Path
from typing import Any

from transcode import layout, schedule
from transcode.book import FilmEntry
from transcode.errors import Lost, MediaError, NoRoom, Stopped, Stumbled, of_os_error
from transcode.ledger import Lease
from transcode.tasks.assignment import Assignment
from transcode.worker.bench import Bench, Left
from transcode.worker.heart import Heart
from transcode.worker.settling import Settling

log = logging.getLogger(__name__)


class Attempt:
    """One lease on one slot. `run` raises nothing: a bug fails the task, and the worker goes on."""

    def __init__(self, bench: Bench, lease: Lease, slot: int) -> None:
        self._bench = bench
        self._lease = lease
        self._slot = slot
        self._heart = Heart(bench, lease, slot)
        self._settling = Settling(bench, lease)

    @property
    def _scratch(self) -> Path:
        """Where this attempt writes; nobody else does."""
        return layout.attempt_dir(self._bench.root, self._lease.film, self._lease.token)

    def nudge(self) -> None:
        """Something was cancelled, or the worker leaves: look now instead of at the next heartbeat."""
        self._heart.nudge()

    async def run(self) -> None:
        """Do the task; the lease is settled, released or lost afterwards."""
        try:
            async with asyncio.TaskGroup() as group:  # a heart that stops for a bug stops the work with it
                beating = group.create_task(self._heart.beat())
                try:
                    await self._run()
                finally:
                    self._heart.stop()
                    beating.cancel()
        except* Left:
            log.warning("task_left film=%s task=%s", self._lease.film, self._lease.task)
        except* Exception as bugs:
            await self._stumbled(bugs)
        finally:
            await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)

    async def _run(self) -> None:
        lease = self._lease
        entry: FilmEntry | None = await self._bench.patiently(lambda: self._bench.book.entry(lease.film))
        if entry is None:
            await self._settling.film_unknown()
            return
        log.debug("task_begins film=%s task=%s attempt=%s", lease.film, lease.task, lease.attempt)
        try:
            result = await self._work(entry)
        except MediaError as error:
            await self._fell(error)
        else:
            await self._settling.succeeded(entry, result)

    async def _work(self, entry: FilmEntry) -> dict[str, Any]:
        try:
            await asyncio.to_thread(self._scratch.mkdir, parents=True, exist_ok=True)
        except OSError as error:
            raise of_os_error(error) from error
        self._heart.work_begins(entry)
        working = asyncio.ensure_future(self._bench.hands.run(self._slot, self._assignment(entry)))
        judged = asyncio.ensure_future(self._heart.judged.wait())
        try:
            if self._lease.kind == "segment":
                await self._pull_forward(entry)
            await asyncio.wait({working, judged}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            judged.cancel()
            if not working.done():
                await self._halt(working)
            self._heart.work_ends()
        return working.result()

    async def _halt(self, working: asyncio.Future[dict[str, Any]]) -> None:
        """Ask the child to stop; kill it when it does not."""
        self._bench.hands.stop(self._slot)
        await asyncio.wait({working}, timeout=self._bench.times.stop_patience)
        while not working.done():
            log.warning("pool_child_killed film=%s task=%s: it did not stop", self._lease.film, self._lease.task)
            self._bench.hands.kill(self._slot)
            await asyncio.wait({working}, timeout=self._bench.times.stop_patience)

    def _assignment(self, entry: FilmEntry) -> Assignment:
        return Assignment(
            kind=self._lease.kind,
            film=self._lease.film,
            source=str(self._bench.root / entry.source),
            root=self._bench.root,
            scratch=self._scratch,
            tools=self._bench.tools,
            timeline=dict(entry.timeline) if entry.timeline is not None else None,
            index=self._lease.index,
            rendition=self._lease.rendition or None,
            reserve=self._bench.room.min_free,
        )

    async def _pull_forward(self, entry: FilmEntry) -> None:
        """A viewer looks here: the chunk around the segment, then the next one, go before all others."""
        film, ledger = self._lease.film, self._bench.ledger
        for chunk in reversed(schedule.chunks_around(entry, self._lease.index)):
            await self._bench.patiently(lambda chunk=chunk: ledger.raise_priority(film, chunk))  # type: ignore[misc]

    async def _fell(self, error: MediaError) -> None:
        """A verdict outweighs what the work says of its end, for it was stopped by it."""
        verdict = self._heart.verdict
        if verdict is not None and verdict.blames_the_task:
            sentence = f"The work was stopped: {verdict.value}."
            await self._settling.failed(MediaError(sentence, last_words=error.last_words))
        elif verdict is not None or isinstance(error, Stopped):
            await self._settling.let_go(verdict.value if verdict else "")
        elif isinstance(error, Lost) and self._lease.kind != "probe":  # which builds on nothing
            await self._settling.lost_ground(error)
        elif isinstance(error, NoRoom):
            await self._settling.found_no_room(error)
        else:
            await self._settling.failed(error)

    async def _stumbled(self, bugs: BaseExceptionGroup[Exception]) -> None:
        """As any failure of the task; when not even that can be told, the lease will expire."""
        log.error("task_stumbles film=%s task=%s", self._lease.film, self._lease.task, exc_info=bugs)
        try:
            await self._settling.failed(Stumbled(last_words="".join(traceback.format_exception(bugs))))
        except Exception:  # Left among them
            log.exception("task_left film=%s task=%s", self._lease.film, self._lease.task)
