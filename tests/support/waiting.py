"""Waiting for a condition, on the event loop and without one."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable

_POLL_INTERVAL_S = 0.01


def _no_details() -> str:
    return ""


async def wait_until(
    condition: Callable[[], object], timeout_s: float = 60, details: Callable[[], str] = _no_details
) -> float:
    """Wait on the event loop until a condition holds; return the seconds that it took.

    `condition` may be a coroutine function. `details`: what the failure message of a timeout adds.
    """
    started = time.monotonic()
    while True:
        result = condition()
        if inspect.isawaitable(result):
            result = await result
        elapsed = time.monotonic() - started
        if result:
            return elapsed
        assert elapsed < timeout_s, f"the condition did not hold within {timeout_s} s\n{details()}"
        await asyncio.sleep(_POLL_INTERVAL_S)


def block_until(condition: Callable[[], object], timeout_s: float = 30) -> None:
    """Wait until a condition holds, blocking the thread."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not hold within {timeout_s} s"
        time.sleep(5 * _POLL_INTERVAL_S)
