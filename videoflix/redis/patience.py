"""Waiting for a server, without counting the time for which this process was blocked itself."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

_LATE_S = 0.1  # a timer fires this late only when the event loop was busy with something else
_MAX_EXTENSIONS = 10  # times that a server gets its time again


async def answer_within(seconds: float, call: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of a call. Raises TimeoutError when it takes longer, and cancels it.

    `asyncio.timeout` counts time in which the event loop is busy: the answer may lie in the socket all the while, and
    whoever keeps the loop busy could make it seem that Redis is away, and so that limits are not counted.
    """
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(call)
    try:
        for _ in range(1 + _MAX_EXTENSIONS):
            deadline = loop.time() + seconds
            await asyncio.wait([task], timeout=seconds)
            if task.done():
                return task.result()
            if loop.time() - deadline < _LATE_S:
                break
        raise TimeoutError
    finally:
        task.cancel()
