"""Two things that asyncio leaves to its users: waiting for an event or the time, and ending tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_RECANCEL_INTERVAL_S = 0.5  # seconds


async def wait_for_event(event: asyncio.Event, timeout_s: float) -> bool:
    """Until it is set, or `timeout_s` seconds are over. Returns whether it is set."""
    try:
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    except TimeoutError:
        return event.is_set()


async def cancel_and_wait(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel them until all are gone: one that swallows its cancellation (asyncio.wait_for may, before Python 3.12,
    and drivers use it) is cancelled again.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=_RECANCEL_INTERVAL_S)
        for task in done:
            _ = task.cancelled() or task.exception()  # seen
