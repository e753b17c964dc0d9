"""Actors without an account: a stranger who sends what no client sends, and a watch on the event loop."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from random import Random

from benchmarks.soak.client import CheckedClient
from benchmarks.soak.record import SoakReport
from benchmarks.soak.site import Site
from transcode.aio import wait_for_event

_MAX_RESPONSE_S = 40.0  # for a response or the end of the connection; a refused client may linger for 30 s
_MAX_LOOP_WAIT_S = 5.0  # for /healthz on a machine whose cores all encode
_WATCH_INTERVAL_S = 0.2
_MAX_HEAD_BYTES = 64 * 1024

_UPLOAD_PATH = "/api/admin/videos/"
_REQUESTS = (
    # Header fields: blanks inside a value, too many, too long, control characters, no name.
    b"G\r\nX: x" + b" " * 60_000 + b"y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"a%d: b\r\n" % number for number in range(4_000)) + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"a=b; " * 12_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: \x01\x00\xff\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n: x\r\n\r\n",
    b"A" * (_MAX_HEAD_BYTES + 10),
    # Verbs and lengths that nobody answers by accident.
    f"PROPFIND {_UPLOAD_PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    f"POST {_UPLOAD_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 0\r\n\r\n".encode(),
    f"POST {_UPLOAD_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".encode(),
    f"POST {_UPLOAD_PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".encode(),
    b"POST /api/login/ HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000000\r\n\r\n" + b"x" * 4096,
    # Dates beyond the calendar, and ranges without sense.
    b"GET /media/hls/1/480p/0000.ts HTTP/1.1\r\nHost: x\r\n"
    b"If-Modified-Since: Mon, 01 Jan 99999999999 00:00:00 GMT\r\n\r\n",
    b"GET /media/hls/1/master.m3u8 HTTP/1.1\r\nHost: x\r\nRange: bytes=" + b"1-2," * 10_000 + b"\r\n\r\n",
)


class Stranger:
    """Sends malformed requests over raw sockets. Each has to be answered, or its connection closed."""

    def __init__(self, site: Site, report: SoakReport, random: Random) -> None:
        self._site = site
        self._report = report
        self._random = random

    async def run(self, stop_event: asyncio.Event) -> None:
        """Send one request after another until the event is set."""
        while not stop_event.is_set():
            await self._send(self._random.choice(_REQUESTS))
            await wait_for_event(stop_event, self._random.uniform(0, 1))

    async def _send(self, request: bytes) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._site.instance.port)
        except OSError:
            return  # all web processes are down
        begin = time.monotonic()
        try:
            writer.write(request)
            async with asyncio.timeout(_MAX_RESPONSE_S):
                response = await reader.read(4096)
            status = response[9:12].decode("latin1") if response.startswith(b"HTTP/1.1 ") else "closed"
            self._report.count(f"malformed requests: {status}")
            self._report.require(status != "500", f"500 for {request[:80]!r}: {response[:200]!r}")
        except TimeoutError:
            waited = time.monotonic() - begin
            self._report.report_violation(f"no response in {waited:.0f} s to {request[:80]!r}")
        except OSError:
            self._report.count("malformed requests: reset")
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


class LoopWatch:
    """Asks for /healthz all the time, which touches nothing: what it waits for is the event loop."""

    def __init__(self, site: Site, report: SoakReport) -> None:
        self._report = report
        self._client = CheckedClient(site.instance.url, report)
        self.longest_s = 0.0

    async def run(self, stop_event: asyncio.Event) -> None:
        """Ask until the event is set. Waits during which a process died do not count: they have no response."""
        while not stop_event.is_set():
            begin = time.monotonic()
            response = await self._client.request("GET", "/healthz")
            waited = time.monotonic() - begin
            if response.status == 200:
                self.longest_s = max(self.longest_s, waited)
            await wait_for_event(stop_event, _WATCH_INTERVAL_S)
        self._report.log_event(f"the longest wait for /healthz was {self.longest_s:.2f} s")
        self._report.require(self.longest_s < _MAX_LOOP_WAIT_S, f"/healthz took {self.longest_s:.1f} s")
