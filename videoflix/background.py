"""Coroutines that run next to the requests until a block is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager

import structlog

_log = structlog.get_logger(__name__)

_CANCEL_RETRY_S = 0.1


@asynccontextmanager
async def run_in_background(*coroutines: Coroutine[object, object, object]) -> AsyncIterator[None]:
    """Run the coroutines until the block is left, and wait until all of them have ended.

    A coroutine that swallows its cancellation is cancelled again; asyncio.wait_for may do so before Python 3.12.
    """
    tasks = {asyncio.create_task(coroutine) for coroutine in coroutines}
    try:
        yield
    finally:
        while tasks:
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=_CANCEL_RETRY_S)


@asynccontextmanager
async def run_periodically(step: Callable[[], Awaitable[None]], interval_s: float) -> AsyncIterator[None]:
    """Run a step now and again `interval_s` seconds after each end. A step that fails is logged and repeated."""
    async with run_in_background(_repeat_forever(step, interval_s)):
        yield


async def _repeat_forever(step: Callable[[], Awaitable[None]], interval_s: float) -> None:
    while True:
        try:
            await step()
        except Exception as error:  # drivers raise errors of many kinds
            _log.warning("background_step_failed", step=step.__qualname__, error=str(error))
        await asyncio.sleep(interval_s)
