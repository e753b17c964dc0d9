"""What a storm of logins does to everybody else, and how many of them are done: ratios of one run.

    python -m benchmarks.accounts

One web process of its own over embedded servers, with 50 films, rate limits that count and refuse nobody, and its
ordinary log. In every round argon2 alone is called in a loop on as many threads as the server has (half of it before
the logins and half after them, for a machine changes its pace), and `GET /api/video/` is timed without logins and with
more of them than can be done, each connection into an account of its own; the median round counts. After that, how
long a sign-out in one web process takes to reach another one.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from argon2 import PasswordHasher
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import MongoClient

from benchmarks.load import Spread, latencies
from videoflix.composition.root import open_services
from videoflix.embedded import processes, servers
from videoflix.embedded.servers import Server, free_port
from videoflix.errors import TokenNotValid
from videoflix.models import Video, VideoStatus
from videoflix.settings import Settings, load_settings
from videoflix.stores.videos import VideoStore

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = 12.0
CONNECTIONS = 64
PAUSE = 0.04  # seconds between two GETs
EMAIL, VIEWER, PASSWORD = "viewer{}@videoflix.example", "admin@videoflix.example", "correct horse battery"
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Round:
    """One of each, one after the other."""

    argon2: float  # hashes a second
    logins: float  # a second
    refused: int
    quiet: Spread
    stormy: Spread
    memory: tuple[int, int]  # bytes before, and at most


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, _servers(Path(folder)) as settings:
        asyncio.run(_prepare(settings))
        with _web(settings) as (url, process):
            token = asyncio.run(_token(settings))
            rounds = [_round(settings, url, process, token) for _ in range(ROUNDS)]
        _print(rounds)
        _print_sign_out(asyncio.run(_sign_outs(settings)))


@contextmanager
def _servers(folder: Path) -> Iterator[Settings]:
    with processes.running(servers.database(folder)) as database, processes.running(servers.redis(folder)) as redis:
        yield load_settings(
            secret_key="for this measurement alone, and long enough",
            mongodb_uri=database.url,
            redis_url=redis.url,
            data_dir=folder / "var",
            media_root=folder / "media",
            port=free_port(),
            rate_limit_factor=1_000_000,
        )


@contextmanager
def _web(settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    environment = {**settings.as_environment(), "RATE_LIMIT_FACTOR": "1000000", "WEB_PROCESSES": "1"}
    server = Server(
        "web",
        (
            "/usr/bin/env",
            *(f"{name}={value}" for name, value in environment.items()),
            sys.executable,
            "-m",
            "videoflix",
            "web",
        ),
        settings.local_url,
        settings.port,
        settings.data_dir.parent / "web.log",
    )
    with processes.running(server):
        found = [child for child in psutil.Process().children(recursive=True) if child.cmdline()[-1:] == ["web"]]
        yield settings.local_url, found[-1]


async def _prepare(settings: Settings) -> None:
    async with open_services(settings) as services:
        for number in range(CONNECTIONS):
            await services.accounts.make_admin(EMAIL.format(number), PASSWORD)
    client = AsyncIOMotorClient(settings.mongodb_uri.get_secret_value(), tz_aware=True)
    videos = VideoStore(client[settings.mongodb_db])
    for number in range(1, 51):
        await videos.add(
            Video(
                id=number,
                title=f"Film {number}",
                description="What it is about. " * 10,
                source=f"videos/{number}.mp4",
                status=VideoStatus.READY,
                timeline={"version": 1},
                renditions=("480p",),
                segments=10,
                duration=40.0,
            )
        )
    client.close()


async def _token(settings: Settings) -> str:
    async with open_services(settings) as services:
        return (await services.accounts.log_in(EMAIL.format(0), PASSWORD)).access_token


def _round(settings: Settings, url: str, process: psutil.Process, token: str) -> Round:
    headers = {"Authorization": f"Bearer {token}"}
    count = int(SECONDS / (PAUSE + 0.005))
    quiet = asyncio.run(latencies(f"{url}/api/video/", headers, count, PAUSE))
    before = _sessions(settings)
    argon2 = _argon2_alone(settings, SECONDS / 2)
    stormy, done, refused, memory = asyncio.run(_storm(url, headers, process))
    assert _sessions(settings) - before >= done  # of those that came too late to be counted, there are sessions too
    argon2 += _argon2_alone(settings, SECONDS / 2)
    return Round(argon2 / 2, done / SECONDS, refused, quiet, stormy, memory)


def _sessions(settings: Settings) -> int:
    with MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        return client[settings.mongodb_db]["sessions"].count_documents({})


def _argon2_alone(settings: Settings, seconds: float) -> float:
    hasher = PasswordHasher(settings.password_iterations, settings.password_memory_mib * 1024, settings.password_lanes)
    encoded = hasher.hash(PASSWORD)
    until = time.monotonic() + seconds
    counts: list[int] = []

    def verify() -> None:
        count = 0
        while time.monotonic() < until:
            hasher.verify(encoded, PASSWORD)
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=verify) for _ in range(settings.hashing_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


async def _storm(
    url: str, headers: dict[str, str], process: psutil.Process
) -> tuple[Spread, int, int, tuple[int, int]]:
    before = most = process.memory_info().rss
    flood = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.login_flood", url, EMAIL, PASSWORD, str(CONNECTIONS), str(SECONDS)),
        stdout=asyncio.subprocess.PIPE,
    )
    await asyncio.sleep(1)  # until all of them are under way
    count = int((SECONDS - 3) / (PAUSE + 0.02))
    watching = asyncio.create_task(latencies(f"{url}/api/video/", headers, count, PAUSE))
    while flood.returncode is None:
        most = max(most, process.memory_info().rss)
        try:
            said = await asyncio.wait_for(asyncio.shield(flood.wait()), 0.2)
        except TimeoutError:
            continue
        assert said == 0
    assert flood.stdout is not None
    counted = json.loads(await flood.stdout.read())
    return await watching, counted["done"], counted["refused"], (before, most)


async def _sign_outs(settings: Settings) -> list[float]:
    """Seconds from a sign-out in one process until another one shuts the token out."""
    taken = []
    async with open_services(settings) as one, open_services(settings) as other:
        while not (one.accounts.in_step and other.accounts.in_step):
            await asyncio.sleep(0.01)
        await one.accounts.make_admin(VIEWER, PASSWORD)  # the others have sessions by the hundred by now
        for _ in range(50):
            signed_in = await one.accounts.log_in(VIEWER, PASSWORD)
            other.accounts.identify(signed_in.access_token)
            begin = time.perf_counter()
            ending = asyncio.create_task(one.accounts.end_sessions(signed_in.user.id))
            while True:
                try:
                    other.accounts.identify(signed_in.access_token)
                except TokenNotValid:
                    break
                await asyncio.sleep(0.0005)
            taken.append(time.perf_counter() - begin)
            await ending
    return taken


def _print(rounds: list[Round]) -> None:
    for found in rounds:
        print(
            f"argon2 alone {found.argon2:.1f}/s, logins {found.logins:.1f}/s ({found.refused} refused), "
            f"GET p99 {found.quiet.p99 * 1000:.1f} ms quiet, {found.stormy.p99 * 1000:.1f} ms in the storm, "
            f"memory {found.memory[0] / MIB:.0f} MiB before, {found.memory[1] / MIB:.0f} MiB at most"
        )
    done = statistics.median(found.logins / found.argon2 for found in rounds)
    slower = statistics.median(found.stormy.p99 / found.quiet.p99 for found in rounds)
    print(f"logins done / argon2 alone: {done:.2f} (at least 0.85)")
    print(f"GET /api/video/ p99 in the storm / without: {slower:.2f} (at most 5)")


def _print_sign_out(taken: list[float]) -> None:
    print(f"sign-out elsewhere: median {statistics.median(taken) * 1000:.1f} ms, most {max(taken) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
