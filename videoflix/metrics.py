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

from videoflix.background import running
from videoflix.checks import Checks, answers

_log = logging.getLogger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_LOOK = 1.0  # seconds between two looks at what is counted without this module
_PATIENCE = 2.0  # seconds for each server to answer a scrape
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds

Asked = Mapping[str, Callable[[], Awaitable[Mapping[str, int]]]]


@dataclass(slots=True)
class Tally:
    """What the fast lane counts: plain numbers, for it has no time for more."""

    requests: Counts[int] = field(default_factory=Counts)  # by status
    sent: int = 0  # bytes of content
    transfers: int = 0  # under way


class Metrics:
    """One per web process. `waiting` and `in_step` are looked at; `checks` and `counts` are asked at a scrape.

    `counts`: what there is of jobs, mails, ..., by state.
    """

    def __init__(self, waiting: Callable[[], int], in_step: Callable[[], bool], checks: Checks, counts: Asked) -> None:
        self._look_at = waiting, in_step
        self._checks = checks
        self._counts = counts
        self._registry = mine = CollectorRegistry()
        self._requests = Counter("videoflix_requests", "Answers.", ("family", "status"), registry=mine)
        self._seconds = Histogram(
            "videoflix_request_seconds",
            "Time to an answer, without the fast lane.",
            ("family",),
            buckets=_BUCKETS,
            registry=mine,
        )
        self._sent = Counter("videoflix_media_sent_bytes", "Bytes of films that the fast lane sent.", registry=mine)
        self._transfers = _gauge("videoflix_media_transfers", "Transfers that wait for their client.", "livesum", mine)
        self._waiting = _gauge("videoflix_segment_waiters", "Requests that wait for an encode.", "livesum", mine)
        self._in_step = _gauge("videoflix_revocations_in_step", "1: sign-outs are heard of.", "livemin", mine)
        self._seen = Tally()
        self.lane = Tally()

    def observe(self, family: str, status: int, seconds: float) -> None:
        """An ordinary request was answered."""
        self._requests.labels(family, str(status)).inc()
        self._seconds.labels(family).observe(seconds)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """For as long as the block lasts, what is counted here is a second old at most to the other processes."""
        async with running(self._keep()):
            yield

    async def text(self) -> bytes:
        """The answer to a scrape."""
        self._look()
        everywhere = CollectorRegistry()
        everywhere.register(_Ready(await self._of_site()))
        return generate_latest(_of_all_processes() or self._registry) + generate_latest(everywhere)

    async def _keep(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(_LOOK)

    def _look(self) -> None:
        now, seen = self.lane, self._seen
        for status, count in now.requests.items():
            self._requests.labels("media", str(status)).inc(count - seen.requests[status])
        self._sent.inc(now.sent - seen.sent)
        self._seen = Tally(now.requests.copy(), now.sent)
        self._transfers.set(now.transfers)
        waiting, in_step = self._look_at
        self._waiting.set(waiting())
        self._in_step.set(in_step())

    async def _of_site(self) -> list[GaugeMetricFamily]:
        up = GaugeMetricFamily("videoflix_server_up", "1: it answers.", labels=("server",))
        well = await asyncio.gather(*(answers(name, check) for name, check in self._checks.items()))
        for name, is_well in zip(self._checks, well, strict=True):
            up.add_metric((name,), is_well)
        found = await asyncio.gather(*(self._counted(name) for name in self._counts))
        return [up, *(family for family in found if family is not None)]

    async def _counted(self, name: str) -> GaugeMetricFamily | None:
        """None when nobody knows."""
        try:
            async with asyncio.timeout(_PATIENCE):
                counts = await self._counts[name]()
        except Exception as error:  # whatever a driver raises: the rest is told without it
            _log.warning("not counted what=%s error=%s", name, error)
            return None
        family = GaugeMetricFamily(f"videoflix_{name}", f"How many {name} are in each state.", labels=("state",))
        for state, count in counts.items():
            family.add_metric((state,), count)
        return family


class _Ready(Collector):
    def __init__(self, families: Iterable[GaugeMetricFamily]) -> None:
        self._families = families

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._families


def _gauge(name: str, sentence: str, mode: str, registry: CollectorRegistry) -> Gauge:
    return Gauge(name, sentence, multiprocess_mode=mode, registry=registry)  # type: ignore[arg-type]  # a Literal


def _of_all_processes() -> CollectorRegistry | None:
    """None when this is the only one."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return None
    for place in Path(folder).glob("gauge_live*_*.db"):
        found = re.search(r"_(\d+)\.db$", place.name)
        if found and not _lives(int(found[1])):  # what it was doing has ended; what it did still counts
            with suppress(FileNotFoundError):  # another process answers a scrape too
                mark_process_dead(int(found[1]), folder)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return registry


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of somebody else
        pass
    return True
