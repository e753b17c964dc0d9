"""What can happen to the processes, the servers and the disk of a site."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import psutil

from benchmarks.soak.library import Admin
from benchmarks.soak.record import Record
from benchmarks.soak.site import Site
from transcode.waiting import wait_for_event

_BEYOND_A_LEASE = 18.0  # seconds


class Faults:
    """One after another, with pauses; several run at once."""

    def __init__(
        self, site: Site, record: Record, random: Random, admin: Admin, crashing: asyncio.Lock, *, can_fill: bool
    ) -> None:
        self._site = site
        self._record = record
        self._random = random
        self._fills = can_fill
        self._admin = admin
        self._crashing = crashing

    async def run(self, until: asyncio.Event) -> None:
        """Until then. The last fault is over when this returns."""
        while not until.is_set():
            fault, name = self._choose()
            self._record.tell(f"fault: {name}")
            self._record.count(f"fault {name}")
            await fault()
            await wait_for_event(until, self._random.uniform(0.5, 8))

    def _choose(self) -> tuple[Callable[[], Awaitable[None]], str]:
        kills = dict.fromkeys(("worker", "hand", "web", "redis", "database"), 2) | {"ffmpeg": 4}
        faults: list[tuple[Callable[[], Awaitable[None]], str, int]] = [
            (partial(self._kill, kind), f"kill {kind}", weight) for kind, weight in kills.items()
        ]
        faults += [
            (lambda: self._kill("worker", signal.SIGTERM), "worker told to leave", 2),
            (lambda: self._kill("web", signal.SIGTERM), "web told to leave", 1),
            (self._empty_redis, "redis loses its data", 2),
            (lambda: self._stop("ffmpeg", self._random.choice((1, _BEYOND_A_LEASE))), "ffmpeg stands still", 2),
            (lambda: self._stop("worker", _BEYOND_A_LEASE), "worker stands still", 2),
            (lambda: self._stop("hand", _BEYOND_A_LEASE), "hand stands still", 1),
            (lambda: self._stop("redis", self._random.choice((2, _BEYOND_A_LEASE))), "redis stands still", 2),
            (lambda: self._stop("database", self._random.choice((2, 8))), "database stands still", 1),
            (self._kill_all, "all servers and workers killed", 1),
            (self._kill_after_an_answer, "database killed at the moment of an answer", 3),
            (self._crash, "everything killed and started again", 1),
        ]
        if self._fills:
            faults.append((self._fill, "disk full", 2))
        fault, name, _ = self._random.choices(faults, [weight for _, _, weight in faults])[0]
        return fault, name

    async def _kill(self, kind: str, number: int = signal.SIGKILL) -> None:
        victim = await self._victim(kind)
        if victim is not None:
            _send(victim, number)

    async def _kill_all(self) -> None:
        for kind in ("worker", "database", "redis"):
            for victim in self._site.of(kind):
                _send(victim, signal.SIGKILL)

    async def _kill_after_an_answer(self) -> None:
        await self._admin.describe()
        for database in self._site.of("database"):
            _send(database, signal.SIGKILL)

    async def _crash(self) -> None:
        async with self._crashing:
            await asyncio.to_thread(self._site.crash)

    async def _stop(self, kind: str, seconds: float) -> None:
        victim = await self._victim(kind)
        if victim is None:
            return
        _send(victim, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        _send(victim, signal.SIGCONT)

    async def _empty_redis(self) -> None:
        """Nobody starts it again before its files are gone."""
        async with self._crashing:
            self._empty()

    def _empty(self) -> None:
        supervisor = psutil.Process(self._site.up.process.pid)
        supervisor.suspend()
        try:
            for redis in self._site.of("redis"):
                _send(redis, signal.SIGKILL)
            folder = self._site.folder / "var" / "redis"
            for file in folder.iterdir():
                if file.name != "redis.conf":
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
        finally:
            supervisor.resume()

    async def _fill(self) -> None:
        """Not a byte is left, then a little, then all of it again."""
        ballast = self._site.folder / "ballast"
        try:
            for _ in range(self._random.randint(2, 8)):
                _fill(ballast, shutil.disk_usage(self._site.folder).free)
                await asyncio.sleep(self._random.uniform(0.5, 3))
        finally:
            ballast.unlink(missing_ok=True)

    async def _victim(self, kind: str) -> psutil.Process | None:
        """One of a kind; an encoder that lives for a moment only is waited for."""
        for _ in range(100):
            if found := self._site.of(kind):
                return self._random.choice(found)
            await asyncio.sleep(0.02)
        return None


def _fill(ballast: Path, free: int) -> None:
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while free > 0:
            free -= file.write(bytes(min(free, 1 << 20)))


def _send(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
