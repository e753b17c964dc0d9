"""Clients for measurements: wrk for throughput, plain sockets for latency and for slow viewers."""

from __future__ import annotations

import asyncio
import re
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_READ_BYTES = 64 * 1024


def requests_per_second(url: str, headers: Mapping[str, str], seconds: float, connections: int) -> float:
    """What wrk counts; raises when an answer was no success, for that would be a fast nothing."""
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    argv = ["wrk", "--timeout", "20s", "-t1", f"-c{connections}", f"-d{seconds:g}s", *given, url]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or (errors := re.search(r"Socket errors:.*(connect|timeout) [1-9]", said)):
        raise RuntimeError(f"{url}: {said}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found, (said, errors)
    return float(found[1])


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Seconds."""

    median: float
    p95: float
    p99: float


async def measure_latency(url: str, headers: Mapping[str, str], count: int, pause_s: float) -> LatencySummary:
    """Of `count` requests, one after another on one connection, `pause` seconds apart."""
    return summarize((await measure_interleaved([(url, headers)], count, pause_s))[0])


async def measure_interleaved(
    requests: Sequence[tuple[str, Mapping[str, str]]], count: int, pause_s: float
) -> Sequence[Sequence[float]]:
    """The same of several servers, request by request in turns, so that a bad moment of the machine meets them all."""
    connections = [await _connect(url) for url, _ in requests]
    taken: list[list[float]] = [[] for _ in requests]
    for number in range(count):
        for turn in range(len(requests)):
            place = (number + turn) % len(requests)
            begin = time.perf_counter()
            await _fetch(*connections[place], *requests[place])
            taken[place].append(time.perf_counter() - begin)
            await asyncio.sleep(pause_s)
    for _, writer in connections:
        writer.close()
    return taken


def summarize(durations: Sequence[float]) -> LatencySummary:
    """Of measured times."""
    cuts = statistics.quantiles(durations, n=100)
    return LatencySummary(statistics.median(durations), cuts[94], cuts[98])


async def read_slowly(url: str, headers: Mapping[str, str], bytes_per_s: int, stop: asyncio.Event) -> int:
    """Fetch again and again, taking `rate` bytes a second; the bytes that came."""
    reader, writer = await _connect(url, limit=bytes_per_s)
    total = 0
    _send_request(writer, url, headers)
    left = await _read_content_length(reader)
    while not stop.is_set():
        if not left:
            _send_request(writer, url, headers)
            left = await _read_content_length(reader)
        got = await reader.readexactly(min(bytes_per_s // 2, left))
        left, total = left - len(got), total + len(got)
        await asyncio.sleep(0.5)
    writer.transport.abort()
    return total


async def _connect(url: str, limit: int = 2**20) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(url)
    return await asyncio.open_connection(address.hostname, address.port, limit=limit)


def _send_request(writer: asyncio.StreamWriter, url: str, headers: Mapping[str, str]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET {urlsplit(url).path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())


async def _read_content_length(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    found = re.search(rb"Content-Length: (\d+)", head, re.IGNORECASE)
    assert found, head
    return int(found[1])


async def _fetch(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str, headers: Mapping[str, str]
) -> None:
    _send_request(writer, url, headers)
    left = await _read_content_length(reader)
    while left:
        left -= len(await reader.read(min(left, _READ_BYTES)))
