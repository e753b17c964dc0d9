"""How many logins a server handles, and how a flood of them slows other requests: ratios of one run.

    python -m benchmarks.accounts

One web process over embedded servers, with 50 videos, rate limits that count but never refuse, and its usual log.
Each round calls argon2 alone in a loop on as many threads as the server has (half before the logins and half after
them, since the speed of a machine varies), and times `GET /api/video/` without logins and with more logins than the
server can handle, each connection with an account of its own. The median round counts. At the end, it measures how long
a sign-out in one web process takes to reach another.
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

from benchmarks.load import LatencySummary, measure_latency
from videoflix.bootstrap.services import open_services
from videoflix.embedded import processes, servers
from videoflix.embedded.servers import ServerSpec, find_free_port
from videoflix.errors import TokenNotValid
from videoflix.models import Video, VideoStatus
from videoflix.settings import Settings, load_settings
from videoflix.stores.videos import VideoStore

ROUNDS = int(os.environ.get("ROUNDS", "3"))
STORM_DURATION_S = 12.0
CONNECTIONS = 64
REQUEST_INTERVAL_S = 0.04  # between two GETs
EMAIL_TEMPLATE, VIEWER_EMAIL, PASSWORD = (
    "viewer{}@videoflix.example",
    "admin@videoflix.example",
    "correct horse battery",
)
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Round:
    """The measurements of one round."""

    argon2_per_s: float  # hashes per second
    logins_per_s: float
    refused: int
    idle_latency: LatencySummary
    loaded_latency: LatencySummary
    memory_bytes: tuple[int, int]  # bytes before, and the maximum


def main() -> None:
    """Run the benchmark and print its results."""
    with tempfile.TemporaryDirectory() as folder, _run_servers(Path(folder)) as settings:
        asyncio.run(_prepare(settings))
        with _run_web(settings) as (url, process):
            token = asyncio.run(_log_in(settings))
            rounds = [_measure_round(settings, url, process, token) for _ in range(ROUNDS)]
        _print_rounds(rounds)
        _print_sign_out(asyncio.run(_measure_sign_outs(settings)))


@contextmanager
def _run_servers(folder: Path) -> Iterator[Settings]:
    with (
        processes.run_server(servers.make_database_server(folder)) as database,
        processes.run_server(servers.make_redis_server(folder)) as redis,
    ):
        yield load_settings(
            secret_key="for this measurement alone, and long enough",
            mongodb_uri=database.url,
            redis_url=redis.url,
            data_dir=folder / "var",
            media_root=folder / "media",
            port=find_free_port(),
            rate_limit_factor=1_000_000,
        )


@contextmanager
def _run_web(settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    environment = {**settings.as_environment(), "RATE_LIMIT_FACTOR": "1000000", "WEB_PROCESSES": "1"}
    server = ServerSpec(
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
    with processes.run_server(server):
        found = [child for child in psutil.Process().children(recursive=True) if child.cmdline()[-1:] == ["web"]]
        yield settings.local_url, found[-1]


async def _prepare(settings: Settings) -> None:
    async with open_services(settings) as services:
        for number in range(CONNECTIONS):
            await services.accounts.make_admin(EMAIL_TEMPLATE.format(number), PASSWORD)
    client = AsyncIOMotorClient(settings.mongodb_uri.get_secret_value(), tz_aware=True)
    videos = VideoStore(client[settings.mongodb_db])
    for number in range(1, 51):
        await videos.add(
            Video(
                id=number,
                title=f"Video {number}",
                description="What it is about. " * 10,
                source=f"videos/{number}.mp4",
                status=VideoStatus.READY,
                presentation={"version": 1},
                renditions=("480p",),
                segments=10,
                duration=40.0,
            )
        )
    client.close()


async def _log_in(settings: Settings) -> str:
    async with open_services(settings) as services:
        return (await services.accounts.log_in(EMAIL_TEMPLATE.format(0), PASSWORD)).tokens.access_token


def _measure_round(settings: Settings, url: str, process: psutil.Process, token: str) -> Round:
    headers = {"Authorization": f"Bearer {token}"}
    count = int(STORM_DURATION_S / (REQUEST_INTERVAL_S + 0.005))
    quiet = asyncio.run(measure_latency(f"{url}/api/video/", headers, count, REQUEST_INTERVAL_S))
    before = _count_sessions(settings)
    argon2 = _measure_argon2(settings, STORM_DURATION_S / 2)
    stormy, done, refused, memory = asyncio.run(_measure_storm(url, headers, process))
    assert (
        _count_sessions(settings) - before >= done
    )  # logins that finished too late to be counted created sessions too
    argon2 += _measure_argon2(settings, STORM_DURATION_S / 2)
    return Round(argon2 / 2, done / STORM_DURATION_S, refused, quiet, stormy, memory)


def _count_sessions(settings: Settings) -> int:
    with MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        return client[settings.mongodb_db]["sessions"].count_documents({})


def _measure_argon2(settings: Settings, duration_s: float) -> float:
    hasher = PasswordHasher(settings.password_iterations, settings.password_memory_mib * 1024, settings.password_lanes)
    encoded = hasher.hash(PASSWORD)
    until = time.monotonic() + duration_s
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
    return sum(counts) / duration_s


async def _measure_storm(
    url: str, headers: dict[str, str], process: psutil.Process
) -> tuple[LatencySummary, int, int, tuple[int, int]]:
    before = most = process.memory_info().rss
    flood = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "benchmarks.login_flood",
            url,
            EMAIL_TEMPLATE,
            PASSWORD,
            str(CONNECTIONS),
            str(STORM_DURATION_S),
        ),
        stdout=asyncio.subprocess.PIPE,
    )
    await asyncio.sleep(1)  # until all of them are running
    count = int((STORM_DURATION_S - 3) / (REQUEST_INTERVAL_S + 0.02))
    watching = asyncio.create_task(measure_latency(f"{url}/api/video/", headers, count, REQUEST_INTERVAL_S))
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


async def _measure_sign_outs(settings: Settings) -> list[float]:
    """Return the seconds from a sign-out in one process until another process refuses the token."""
    taken = []
    async with open_services(settings) as one, open_services(settings) as other:
        while not (one.token_verifier.is_in_sync and other.token_verifier.is_in_sync):
            await asyncio.sleep(0.01)
        await one.accounts.make_admin(VIEWER_EMAIL, PASSWORD)  # the other accounts have hundreds of sessions by now
        for _ in range(50):
            signed_in = await one.accounts.log_in(VIEWER_EMAIL, PASSWORD)
            other.token_verifier.verify_access_token(signed_in.tokens.access_token)
            begin = time.perf_counter()
            ending = asyncio.create_task(one.accounts.end_sessions(signed_in.user.id))
            while True:
                try:
                    other.token_verifier.verify_access_token(signed_in.tokens.access_token)
                except TokenNotValid:
                    break
                await asyncio.sleep(0.0005)
            taken.append(time.perf_counter() - begin)
            await ending
    return taken


def _print_rounds(rounds: list[Round]) -> None:
    for found in rounds:
        print(
            f"argon2 alone {found.argon2_per_s:.1f}/s, logins {found.logins_per_s:.1f}/s ({found.refused} refused), "
            f"GET p99 {found.idle_latency.p99 * 1000:.1f} ms idle, "
            f"{found.loaded_latency.p99 * 1000:.1f} ms in the flood, "
            f"memory {found.memory_bytes[0] / MIB:.0f} MiB before, {found.memory_bytes[1] / MIB:.0f} MiB at most"
        )
    done = statistics.median(found.logins_per_s / found.argon2_per_s for found in rounds)
    slower = statistics.median(found.loaded_latency.p99 / found.idle_latency.p99 for found in rounds)
    print(f"logins done / argon2 alone: {done:.2f} (at least 0.85)")
    print(f"GET /api/video/ p99 in the storm / without: {slower:.2f} (at most 5)")


def _print_sign_out(durations: list[float]) -> None:
    print(
        f"sign-out elsewhere: median {statistics.median(durations) * 1000:.1f} ms, most {max(durations) * 1000:.1f} ms"
    )


if __name__ == "__main__":
    main()
