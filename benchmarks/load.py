"""Load generators: wrk for throughput, plain sockets for latency and for slow viewers."""

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
    """Return the throughput that wrk measures. Raises RuntimeError if any response is an error, which would be fast."""
    options = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    argv = ["wrk", "--timeout", "20s", "-t1", f"-c{connections}", f"-d{seconds:g}s", *options, url]
    output = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output or (errors := re.search(r"Socket errors:.*(connect|timeout) [1-9]", output)):
        raise RuntimeError(f"{url}: {output}")
    match = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert match, (output, errors)
    return float(match[1])


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Percentiles of response times, in seconds."""

    median: float
    p95: float
    p99: float


async def measure_latency(url: str, headers: Mapping[str, str], count: int, pause_s: float) -> LatencySummary:
    """Measure `count` requests, one after another on one connection, `pause_s` seconds apart."""
    return summarize((await measure_interleaved([(url, headers)], count, pause_s))[0])


async def measure_interleaved(
    requests: Sequence[tuple[str, Mapping[str, str]]], count: int, pause_s: float
) -> Sequence[Sequence[float]]:
    """Measure several servers with alternating requests, so that other load on the machine affects all of them.

    Return the response times in seconds for each server.
    """
    connections = [await _connect(url) for url, _ in requests]
    times: list[list[float]] = [[] for _ in requests]
    for number in range(count):
        for turn in range(len(requests)):
            index = (number + turn) % len(requests)
            begin = time.perf_counter()
            await _fetch(*connections[index], *requests[index])
            times[index].append(time.perf_counter() - begin)
            await asyncio.sleep(pause_s)
    for _, writer in connections:
        writer.close()
    return times


def summarize(durations: Sequence[float]) -> LatencySummary:
    """Summarize measured times."""
    cuts = statistics.quantiles(durations, n=100)
    return LatencySummary(statistics.median(durations), cuts[94], cuts[98])


async def read_slowly(url: str, headers: Mapping[str, str], bytes_per_s: int, stop: asyncio.Event) -> int:
    """Fetch a URL repeatedly, reading `rate` bytes per second. Return the number of bytes received."""
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
