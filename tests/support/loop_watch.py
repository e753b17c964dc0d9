"""Measures how long a callback holds an event loop: computing or waiting for a disk in it keeps everybody else waiting.

Time that the thread waits for a processor does not count, so that a busy machine fails no test.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SCHEDULER_STATISTICS = Path("/proc/thread-self/schedstat")  # Linux, see its Documentation/scheduler/sched-stats.rst
_HAS_STATISTICS = _SCHEDULER_STATISTICS.exists()


@dataclass(slots=True)
class LoopWatch:
    """The callback that held the loop longest, in seconds."""

    longest_s: float = 0.0
    callback: str = ""

    def record(self, seconds: float, handle: asyncio.Handle) -> None:
        """Keep a callback that held the loop longer than all before it."""
        if seconds > self.longest_s:
            self.longest_s, self.callback = seconds, repr(handle)


@contextmanager
def watched_loop(limit_s: float) -> Iterator[LoopWatch]:
    """Fail if a callback of any event loop of this process holds it for longer than `limit_s`."""
    watch, run = LoopWatch(), asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        start = _busy_clock()
        try:
            run(handle)
        finally:
            watch.record(_busy_clock() - start, handle)

    asyncio.Handle._run = timed  # type: ignore[method-assign]
    try:
        yield watch
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]
    assert watch.longest_s < limit_s, f"the loop was held for {watch.longest_s:.2f} s by {watch.callback}"


def _busy_clock() -> float:
    """Return seconds of this thread's time, without those in which it was ready to run but had no processor.

    Where the system does not report the latter, the thread's processor time is returned: it misses blocking calls.
    """
    if not _HAS_STATISTICS:
        return time.thread_time()
    _, waiting_ns, _ = _SCHEDULER_STATISTICS.read_text().split()
    return time.monotonic() - int(waiting_ns) / 1e9
