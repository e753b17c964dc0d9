"""Helpers for asyncio: wait for an event with a timeout, and cancel tasks reliably."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_RECANCEL_INTERVAL_S = 0.5


async def wait_for_event(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait until the event is set, for at most `timeout_s` seconds. Return whether it is set."""
    try:
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    except TimeoutError:
        return event.is_set()


async def cancel_and_wait(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until all have ended.

    A task that swallows its cancellation is cancelled again: `asyncio.wait_for`, which drivers use, may do so before
    Python 3.12.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        done, pending = await asyncio.wait(pending, timeout=_RECANCEL_INTERVAL_S)
        for task in done:
            _ = task.cancelled() or task.exception()  # mark the exception as retrieved
