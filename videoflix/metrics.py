"""Metrics in the Prometheus text format.

Web processes that share a port also share a folder (PROMETHEUS_MULTIPROC_DIR, created by their parent process), so
that each of them can answer a scrape for all. Metrics of the whole site are collected from the servers at each scrape.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter as Counts
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from videoflix.background import run_in_background
from videoflix.health import HealthChecks, is_reachable

_log = structlog.get_logger(__name__)

MULTIPROC_DIR_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_UPDATE_INTERVAL_S = 1.0  # seconds between two reads of counters that are kept elsewhere
_SCRAPE_TIMEOUT_S = 2.0  # seconds for each server to answer
_LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

StateCounters = Mapping[str, Callable[[], Awaitable[Mapping[str, int]]]]


@dataclass(slots=True)
class FastPathCounters:
    """Counters of the fast path: plain integers, which are cheaper to increment than Prometheus counters."""

    requests: Counts[int] = field(default_factory=Counts)  # by status
    sent_bytes: int = 0  # of content
    active_transfers: int = 0


class Metrics:
    """The metrics of one web process and, at a scrape, of the whole site.

    `count_waiters` and `is_in_sync` are read every second. `checks` and `state_counters` are called at each scrape; a
    state counter returns how many objects of one type (jobs, mails, ...) are in each state.
    """

    def __init__(
        self,
        count_waiters: Callable[[], int],
        is_in_sync: Callable[[], bool],
        checks: HealthChecks,
        state_counters: StateCounters,
    ) -> None:
        self._gauge_sources = count_waiters, is_in_sync
        self._checks = checks
        self._state_counters = state_counters
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("videoflix_requests", "Responses.", ("family", "status"), registry=registry)
        self._latency_s = Histogram(
            "videoflix_request_seconds",
            "Time to a response, without the fast path.",
            ("family",),
            buckets=_LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._sent_bytes = Counter(
            "videoflix_media_sent_bytes", "Bytes of media that the fast path sent.", registry=registry
        )
        self._active_transfers = _make_gauge(
            "videoflix_media_transfers", "Transfers that wait for their client.", "livesum", registry
        )
        self._segment_waiters = _make_gauge(
            "videoflix_segment_waiters", "Requests that wait for a segment to be encoded.", "livesum", registry
        )
        self._revocations_in_sync = _make_gauge(
            "videoflix_revocations_in_step",
            "1: revocations of other processes are received.",
            "livemin",
            registry,
        )
        self._last_counters = FastPathCounters()
        self.fast_path = FastPathCounters()

    def observe(self, family: str, status: int, duration_s: float) -> None:
        """Count a response of an ordinary handler."""
        self._requests.labels(family, str(status)).inc()
        self._latency_s.labels(family).observe(duration_s)

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Update the metrics every second until the block is left, so that other processes can report them."""
        async with run_in_background(self._run()):
            yield

    async def render(self) -> bytes:
        """Return the body of a response to a scrape."""
        self._update()
        site_registry = CollectorRegistry()
        site_registry.register(_StaticCollector(await self._collect_site_metrics()))
        return generate_latest(_multiprocess_registry() or self._registry) + generate_latest(site_registry)

    async def _run(self) -> None:
        while True:
            self._update()
            await asyncio.sleep(_UPDATE_INTERVAL_S)

    def _update(self) -> None:
        current, last = self.fast_path, self._last_counters
        for status, count in current.requests.items():
            self._requests.labels("media", str(status)).inc(count - last.requests[status])
        self._sent_bytes.inc(current.sent_bytes - last.sent_bytes)
        self._last_counters = FastPathCounters(current.requests.copy(), current.sent_bytes)
        self._active_transfers.set(current.active_transfers)
        count_waiters, is_in_sync = self._gauge_sources
        self._segment_waiters.set(count_waiters())
        self._revocations_in_sync.set(is_in_sync())

    async def _collect_site_metrics(self) -> list[GaugeMetricFamily]:
        server_up = GaugeMetricFamily("videoflix_server_up", "1: the server answers.", labels=("server",))
        results = await asyncio.gather(*(is_reachable(name, check) for name, check in self._checks.items()))
        for name, is_up in zip(self._checks, results, strict=True):
            server_up.add_metric((name,), is_up)
        families = await asyncio.gather(*(self._collect_state_counts(name) for name in self._state_counters))
        return [server_up, *(family for family in families if family is not None)]

    async def _collect_state_counts(self, name: str) -> GaugeMetricFamily | None:
        """Return the number of objects in each state, or None if the server does not answer."""
        try:
            async with asyncio.timeout(_SCRAPE_TIMEOUT_S):
                counts = await self._state_counters[name]()
        except Exception as error:  # drivers raise errors of many kinds; the other metrics are reported without it
            _log.warning("state_count_failed", name=name, error=str(error))
            return None
        family = GaugeMetricFamily(f"videoflix_{name}", f"How many {name} are in each state.", labels=("state",))
        for state, count in counts.items():
            family.add_metric((state,), count)
        return family


class _StaticCollector(Collector):
    def __init__(self, families: Iterable[GaugeMetricFamily]) -> None:
        self._families = families

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._families


def _make_gauge(name: str, help_text: str, multiprocess_mode: str, registry: CollectorRegistry) -> Gauge:
    return Gauge(name, help_text, multiprocess_mode=multiprocess_mode, registry=registry)  # type: ignore[arg-type]  # a Literal


def _multiprocess_registry() -> CollectorRegistry | None:
    """Return a registry of all web processes, or None if there is only one."""
    folder = os.environ.get(MULTIPROC_DIR_VARIABLE)
    if not folder:
        return None
    for path in Path(folder).glob("gauge_live*_*.db"):
        match = re.search(r"_(\d+)\.db$", path.name)
        if match and not _is_alive(int(match[1])):  # its gauges no longer count, its counters still do
            with suppress(FileNotFoundError):  # another process may be answering a scrape, too
                mark_process_dead(int(match[1]), folder)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return registry


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # the process of another user
        pass
    return True
