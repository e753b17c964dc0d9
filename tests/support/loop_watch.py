"""Watches how long an event loop is held: whatever waits for a disk or computes on it keeps everybody else waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class LoopWatch:
    """The callback that held the loop longest, in seconds of the wall clock."""

    longest_s: float = 0.0
    callback: str = ""

    def note(self, seconds: float, handle: asyncio.Handle) -> None:
        """Called after each callback."""
        if seconds > self.longest_s:
            self.longest_s, self.callback = seconds, repr(handle)


@contextmanager
def watched_loop(limit_s: float) -> Iterator[LoopWatch]:
    """Fail when a callback of any loop of this process takes longer; on a busy machine a limit must be generous."""
    watch, run = LoopWatch(), asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        begun = time.monotonic()
        try:
            run(handle)
        finally:
            watch.note(time.monotonic() - begun, handle)

    asyncio.Handle._run = timed  # type: ignore[method-assign]
    try:
        yield watch
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]
    assert watch.longest_s < limit_s, f"the loop was held for {watch.longest_s:.2f} s by {watch.callback}"
