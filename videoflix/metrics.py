"""What a monitoring system scrapes, in Prometheus' text format.

Several web processes on one port share a folder (PROMETHEUS_MULTIPROC_DIR, which their parent makes), so that whichever
answers a scrape speaks for all of them. What concerns the whole site is asked of its servers at each scrape.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import Counter as Counts
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from videoflix.background import run_in_background
from videoflix.health import HealthChecks, is_reachable

_log = logging.getLogger(__name__)

MULTIPROC_DIR_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_UPDATE_INTERVAL_S = 1.0  # seconds between two looks at what is counted without this module
_SCRAPE_TIMEOUT_S = 2.0  # seconds for each server to answer a scrape
_LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds

StateCounters = Mapping[str, Callable[[], Awaitable[Mapping[str, int]]]]


@dataclass(slots=True)
class FastPathCounters:
    """What the fast lane counts: plain numbers, for it has no time for more."""

    requests: Counts[int] = field(default_factory=Counts)  # by status
    sent_bytes: int = 0  # bytes of content
    active_transfers: int = 0  # under way


class Metrics:
    """One per web process. `waiting` and `in_step` are looked at; `checks` and `counts` are asked at a scrape.

    `counts`: what there is of jobs, mails, ..., by state.
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
        self._registry = mine = CollectorRegistry()
        self._requests = Counter("videoflix_requests", "Answers.", ("family", "status"), registry=mine)
        self._latency_s = Histogram(
            "videoflix_request_seconds",
            "Time to an answer, without the fast lane.",
            ("family",),
            buckets=_LATENCY_BUCKETS_S,
            registry=mine,
        )
        self._sent_bytes = Counter(
            "videoflix_media_sent_bytes", "Bytes of films that the fast lane sent.", registry=mine
        )
        self._active_transfers = _make_gauge(
            "videoflix_media_transfers", "Transfers that wait for their client.", "livesum", mine
        )
        self._segment_waiters = _make_gauge(
            "videoflix_segment_waiters", "Requests that wait for an encode.", "livesum", mine
        )
        self._revocations_in_sync = _make_gauge(
            "videoflix_revocations_in_step", "1: sign-outs are heard of.", "livemin", mine
        )
        self._last_counters = FastPathCounters()
        self.fast_path = FastPathCounters()

    def observe(self, family: str, status: int, duration_s: float) -> None:
        """An ordinary request was answered."""
        self._requests.labels(family, str(status)).inc()
        self._latency_s.labels(family).observe(duration_s)

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """For as long as the block lasts, what is counted here is a second old at most to the other processes."""
        async with run_in_background(self._run()):
            yield

    async def render(self) -> bytes:
        """The answer to a scrape."""
        self._update()
        everywhere = CollectorRegistry()
        everywhere.register(_StaticCollector(await self._collect_site_metrics()))
        return generate_latest(_multiprocess_registry() or self._registry) + generate_latest(everywhere)

    async def _run(self) -> None:
        while True:
            self._update()
            await asyncio.sleep(_UPDATE_INTERVAL_S)

    def _update(self) -> None:
        now, seen = self.fast_path, self._last_counters
        for status, count in now.requests.items():
            self._requests.labels("media", str(status)).inc(count - seen.requests[status])
        self._sent_bytes.inc(now.sent_bytes - seen.sent_bytes)
        self._last_counters = FastPathCounters(now.requests.copy(), now.sent_bytes)
        self._active_transfers.set(now.active_transfers)
        waiting, in_step = self._gauge_sources
        self._segment_waiters.set(waiting())
        self._revocations_in_sync.set(in_step())

    async def _collect_site_metrics(self) -> list[GaugeMetricFamily]:
        up = GaugeMetricFamily("videoflix_server_up", "1: it answers.", labels=("server",))
        well = await asyncio.gather(*(is_reachable(name, check) for name, check in self._checks.items()))
        for name, is_well in zip(self._checks, well, strict=True):
            up.add_metric((name,), is_well)
        found = await asyncio.gather(*(self._collect_state_counts(name) for name in self._state_counters))
        return [up, *(family for family in found if family is not None)]

    async def _collect_state_counts(self, name: str) -> GaugeMetricFamily | None:
        """None when nobody knows."""
        try:
            async with asyncio.timeout(_SCRAPE_TIMEOUT_S):
                counts = await self._state_counters[name]()
        except Exception as error:  # whatever a driver raises: the rest is told without it
            _log.warning("not counted what=%s error=%s", name, error)
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
    """None when this is the only one."""
    folder = os.environ.get(MULTIPROC_DIR_VARIABLE)
    if not folder:
        return None
    for place in Path(folder).glob("gauge_live*_*.db"):
        found = re.search(r"_(\d+)\.db$", place.name)
        if found and not _is_alive(int(found[1])):  # what it was doing has ended; what it did still counts
            with suppress(FileNotFoundError):  # another process answers a scrape too
                mark_process_dead(int(found[1]), folder)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return registry


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of somebody else
        pass
    return True
