"""A ledger on a real Redis, workers with real pool children, and a catalogue in memory."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.transcode.obey import obey
from tests.transcode.quick import QUICK
from transcode.book import NOTHING_OMITTED, BookAway, FilmEntry, Omissions
from transcode.ledger import JobView, Ledger, State
from transcode.timeline import Timeline
from transcode.times import Times
from transcode.tools import Tools
from transcode.worker.worker import Worker

NO_TOOLS = Tools("/nonexistent", "/nonexistent")


@asynccontextmanager
async def open_ledger(url: str, times: Times = QUICK) -> AsyncIterator[Ledger]:
    async with Redis.from_url(url) as client:
        yield Ledger(client, times=times)


async def until(is_so: Callable[[], Any], seconds: float = 30) -> None:
    """Wait on the event loop for a condition, which may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while True:
        answer = is_so()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


@dataclass
class MemoryBook:
    """The catalogue, as far as the engine knows it. `away`: every call fails, as with a database that is down.
    `broken`: kinds of tasks that it stumbles over.
    """

    films: dict[int, FilmEntry] = field(default_factory=dict)
    status: dict[int, str] = field(default_factory=dict)
    gone: dict[int, str] = field(default_factory=dict)
    away: bool = False
    broken: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)

    def add(self, film: int, timeline: Timeline | None = None, chunks: Sequence[int] = ()) -> None:
        known = timeline.as_json() if timeline else None
        self.films[film] = FilmEntry(film, f"videos/{film}.mp4", known, frozenset(chunks), frozenset())
        self.status[film] = "processing"

    def delete(self, film: int) -> None:
        self.gone[film] = self.films.pop(film).source
        del self.status[film]

    def _answer(self) -> None:
        if self.away:
            raise BookAway("the database is away")

    def _change(self, film: int, **fields: Any) -> None:
        self._answer()
        if film in self.films:
            self.films[film] = replace(self.films[film], **fields)

    async def entry(self, film: int) -> FilmEntry | None:
        self._answer()
        return self.films.get(film)

    async def unfinished(self) -> list[int]:
        self._answer()
        return [film for film, status in self.status.items() if status == "processing"]

    async def finished_after(self, film: int, limit: int) -> list[FilmEntry]:
        self._answer()
        ready = [number for number in sorted(self.films) if number > film and self.status[number] == "ready"]
        return [self.films[number] for number in ready[:limit]]

    async def lost(self, film: int, chunks: Collection[int], kinds: Collection[str]) -> None:
        self._answer()
        if film in self.films:
            entry = self.films[film]
            kept = entry.done_kinds - {*kinds, "finish"}
            self._change(film, chunks_done=entry.chunks_done - frozenset(chunks), done_kinds=kept)

    async def deleted(self) -> list[tuple[int, str]]:
        self._answer()
        return list(self.gone.items())

    async def probed(self, film: int, timeline: dict[str, Any]) -> None:
        self._answer()
        if film in self.films and self.films[film].timeline is None:
            self._change(film, timeline=timeline)

    async def task_done(self, film: int, kind: str, index: int, result: dict[str, Any]) -> None:
        self._answer()
        if kind in self.broken:
            raise TypeError(f"no {kind} can be written")
        self.told.append(f"{kind}:{index}")
        entry = self.films.get(film)
        if entry is not None and kind == "chunk":
            self._change(film, chunks_done=entry.chunks_done | {index})
        elif entry is not None:
            self._change(film, done_kinds=entry.done_kinds | {kind}, results={**entry.results, kind: result})

    async def finished(self, film: int, result: dict[str, Any], omissions: Omissions = NOTHING_OMITTED) -> None:
        self._answer()
        if "finish" in self.broken:
            raise TypeError("no finish can be written")
        if film in self.status:
            self._change(film, done_kinds=self.films[film].done_kinds | {"finish"}, omissions=omissions)
            self.status[film] = "ready"

    async def ready_without(self, film: int, omissions: Omissions) -> None:
        self._answer()
        if self.status.get(film) == "processing":
            self._change(film, omissions=omissions)
            self.status[film] = "ready"

    async def set_omissions(self, film: int, omissions: Omissions) -> None:
        self._change(film, omissions=omissions)

    async def failed(self, film: int, sentence: str) -> None:
        self._answer()
        if self.status.get(film) == "processing":
            self.status[film] = f"failed: {sentence}"
            self._change(film, failed=True)


@asynccontextmanager
async def at_work(ledger: Ledger, book: MemoryBook, root: Path, **options: Any) -> AsyncIterator[Worker]:
    """A worker on this event loop, with real children, for as long as the block lasts."""
    options = {"tools": NO_TOOLS, "slots": 1, "min_free": 0, "perform": obey, **options}
    worker = Worker(ledger, book, media_root=root, **options)
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        _, late = await asyncio.wait({running}, timeout=15)
        if late:
            for task in asyncio.all_tasks():
                task.print_stack()
            pytest.fail("the worker does not leave")
        running.result()


async def job_of(ledger: Ledger, film: int) -> JobView:
    job = await ledger.job(film)
    assert job is not None
    return job


async def ended(ledger: Ledger, film: int, state: State = State.SUCCEEDED) -> None:
    """Wait for the end of a film's job."""

    async def is_over() -> bool:
        return (await ledger.states([film])).get(film) is state

    await until(is_over)


def scratch_of(root: Path) -> list[Path]:
    """All that lies in the films' scratch folders. Folders may go while they are looked at, which rglob cannot bear."""
    scratch = root / "scratch"
    found = [Path(folder, name) for folder, folders, files in os.walk(scratch) for name in (*folders, *files)]
    return [path for path in found if path.relative_to(scratch).parts[0] != "uploads"]
