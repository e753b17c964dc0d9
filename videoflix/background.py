"""Work that goes on beside the requests, for as long as something is open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager

_CANCEL_RETRY_S = 0.1  # seconds


@asynccontextmanager
async def run_in_background(*coroutines: Coroutine[object, object, object]) -> AsyncIterator[None]:
    """Run them for as long as the block lasts; afterwards none of them runs any more.

    One that swallows its cancellation (asyncio.wait_for may, before Python 3.12) is cancelled again.
    """
    tasks = {asyncio.create_task(work) for work in coroutines}
    try:
        yield
    finally:
        while tasks:
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=_CANCEL_RETRY_S)


@asynccontextmanager
async def run_periodically(
    step: Callable[[], Awaitable[None]], interval_s: float, logger: logging.Logger
) -> AsyncIterator[None]:
    """At once and then `pause` seconds after it was done; what fails is done the next time."""
    async with run_in_background(_repeat_forever(step, interval_s, logger)):
        yield


async def _repeat_forever(step: Callable[[], Awaitable[None]], interval_s: float, logger: logging.Logger) -> None:
    while True:
        try:
            await step()
        except Exception as error:  # whatever a driver raises
            logger.warning("%s waits error=%s", step.__qualname__, error)
        await asyncio.sleep(interval_s)
