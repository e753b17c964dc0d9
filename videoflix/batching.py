"""Combines calls that are made at the same time into one, so that a burst shares the cost of a round trip."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_BURST_ITEMS, _BURST_WINDOW_S = 10, 0.2  # this many items within this many seconds are a burst
_BURST_INTERVAL_S = 0.1  # seconds between two batches during a burst
_MAX_BATCH_SIZE = 100  # items


class Batcher(Generic[Item, Result]):
    """Passes items in batches to `process_batch`, which returns one result per item, in order.

    A result that is an exception is raised to the caller of that item. Batches start at once; only during a burst,
    in which calls wait for something else anyway, items are collected for up to 0.1 s.
    """

    def __init__(self, process_batch: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]) -> None:
        self._process_batch = process_batch
        self._pending: list[tuple[Item, asyncio.Future[Result]]] = []
        self._arrival_times: deque[float] = deque(maxlen=_BURST_ITEMS)  # by the clock of the event loop
        self._next_batch_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Result:
        """Return the result for the item, from a batch that starts after this call. Raises what the batch raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._pending.append((item, future))
        self._arrival_times.append(loop.time())
        if len(self._pending) == 1:
            loop.call_at(self._next_batch_at, self._start_batch)
        return await future

    def _start_batch(self) -> None:
        loop = asyncio.get_running_loop()
        batch, self._pending = self._pending[:_MAX_BATCH_SIZE], self._pending[_MAX_BATCH_SIZE:]
        is_burst = len(self._arrival_times) == _BURST_ITEMS and loop.time() - self._arrival_times[0] < _BURST_WINDOW_S
        self._next_batch_at = loop.time() + (_BURST_INTERVAL_S if is_burst else 0)
        if self._pending:
            loop.call_soon(self._start_batch)
        task = loop.create_task(self._run_batch(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_batch(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        results: Sequence[Result | Exception]
        try:
            results = await self._process_batch([item for item, _ in batch])
        except Exception as error:  # raised to every caller of the batch
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():  # the caller was cancelled
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
