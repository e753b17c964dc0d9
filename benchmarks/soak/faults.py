"""Faults of the processes, the servers and the disk of a site."""

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

from benchmarks.soak.record import SoakReport
from benchmarks.soak.site import Site
from benchmarks.soak.videos import Admin
from transcode.aio import wait_for_event

_LONGER_THAN_LEASE_S = 18.0


class FaultInjector:
    """Injects faults one after another, with pauses. Several injectors run at once."""

    def __init__(
        self, site: Site, report: SoakReport, random: Random, admin: Admin, crash_lock: asyncio.Lock, *, can_fill: bool
    ) -> None:
        self._site = site
        self._report = report
        self._random = random
        self._can_fill = can_fill
        self._admin = admin
        self._crash_lock = crash_lock

    async def run(self, stop_event: asyncio.Event) -> None:
        """Inject faults until the event is set, and return when the last fault is over."""
        while not stop_event.is_set():
            fault, name = self._choose()
            self._report.log_event(f"fault: {name}")
            self._report.count(f"fault {name}")
            await fault()
            await wait_for_event(stop_event, self._random.uniform(0.5, 8))

    def _choose(self) -> tuple[Callable[[], Awaitable[None]], str]:
        kills = dict.fromkeys(("worker", "hand", "web", "redis", "database"), 2) | {"ffmpeg": 4}
        faults: list[tuple[Callable[[], Awaitable[None]], str, int]] = [
            (partial(self._kill, kind), f"kill {kind}", weight) for kind, weight in kills.items()
        ]
        faults += [
            (lambda: self._kill("worker", signal.SIGTERM), "worker told to leave", 2),
            (lambda: self._kill("web", signal.SIGTERM), "web told to leave", 1),
            (self._wipe_redis, "redis loses its data", 2),
            (lambda: self._suspend("ffmpeg", self._random.choice((1, _LONGER_THAN_LEASE_S))), "ffmpeg stands still", 2),
            (lambda: self._suspend("worker", _LONGER_THAN_LEASE_S), "worker stands still", 2),
            (lambda: self._suspend("hand", _LONGER_THAN_LEASE_S), "hand stands still", 1),
            (lambda: self._suspend("redis", self._random.choice((2, _LONGER_THAN_LEASE_S))), "redis stands still", 2),
            (lambda: self._suspend("database", self._random.choice((2, 8))), "database stands still", 1),
            (self._kill_all, "all servers and workers killed", 1),
            (self._kill_database_after_response, "database killed at the moment of an answer", 3),
            (self._crash_site, "everything killed and started again", 1),
        ]
        if self._can_fill:
            faults.append((self._fill_disk, "disk full", 2))
        fault, name, _ = self._random.choices(faults, [weight for _, _, weight in faults])[0]
        return fault, name

    async def _kill(self, kind: str, signal_number: int = signal.SIGKILL) -> None:
        victim = await self._pick_process(kind)
        if victim is not None:
            _send_signal(victim, signal_number)

    async def _kill_all(self) -> None:
        for kind in ("worker", "database", "redis"):
            for victim in self._site.processes_of_kind(kind):
                _send_signal(victim, signal.SIGKILL)

    async def _kill_database_after_response(self) -> None:
        await self._admin.set_description()
        for database in self._site.processes_of_kind("database"):
            _send_signal(database, signal.SIGKILL)

    async def _crash_site(self) -> None:
        async with self._crash_lock:
            await asyncio.to_thread(self._site.crash_and_restart)

    async def _suspend(self, kind: str, duration_s: float) -> None:
        victim = await self._pick_process(kind)
        if victim is None:
            return
        _send_signal(victim, signal.SIGSTOP)
        await asyncio.sleep(duration_s)
        _send_signal(victim, signal.SIGCONT)

    async def _wipe_redis(self) -> None:
        """Kill Redis and delete its files before it is restarted."""
        async with self._crash_lock:
            self._wipe_redis_files()

    def _wipe_redis_files(self) -> None:
        supervisor = psutil.Process(self._site.instance.process.pid)
        supervisor.suspend()
        try:
            for redis in self._site.processes_of_kind("redis"):
                _send_signal(redis, signal.SIGKILL)
            folder = self._site.folder / "var" / "redis"
            for file in folder.iterdir():
                if file.name != "redis.conf":
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
        finally:
            supervisor.resume()

    async def _fill_disk(self) -> None:
        """Fill the disk completely, then leave a little space, then free all of it."""
        ballast = self._site.folder / "ballast"
        try:
            for _ in range(self._random.randint(2, 8)):
                _write_ballast(ballast, shutil.disk_usage(self._site.folder).free)
                await asyncio.sleep(self._random.uniform(0.5, 3))
        finally:
            ballast.unlink(missing_ok=True)

    async def _pick_process(self, kind: str) -> psutil.Process | None:
        """Return a process of a kind, after waiting a moment for short-lived ones. None if there is none."""
        for _ in range(100):
            if found := self._site.processes_of_kind(kind):
                return self._random.choice(found)
            await asyncio.sleep(0.02)
        return None


def _write_ballast(ballast: Path, free_bytes: int) -> None:
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while free_bytes > 0:
            free_bytes -= file.write(bytes(min(free_bytes, 1 << 20)))


def _send_signal(process: psutil.Process, signal_number: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal_number)
