"""Calls of one moment become one call: in a storm, whoever comes shares what a round trip costs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_BURST_ITEMS, _BURST_WINDOW_S = 10, 0.2  # so many items in so many seconds are a storm
_BURST_INTERVAL_S = 0.1  # seconds from one call to the next in a storm
_MAX_BATCH_SIZE = 100  # items of one call


class Batcher(Generic[Item, Result]):
    """`work` answers many items at once, in their order; an answer that is an exception is raised.

    A call is made at once, also one after another. Only in a storm, in which they wait for something else anyway, those
    that come wait for each other, for up to 0.1 s.
    """

    def __init__(self, process_batch: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]) -> None:
        self._process_batch = process_batch
        self._pending: list[tuple[Item, asyncio.Future[Result]]] = []
        self._arrival_times: deque[float] = deque(maxlen=_BURST_ITEMS)  # when, by the loop's clock
        self._next_batch_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Result:
        """What is asked after this moment is what `work` answers. Raises what it raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()
        self._pending.append((item, answer))
        self._arrival_times.append(loop.time())
        if len(self._pending) == 1:
            loop.call_at(self._next_batch_at, self._start_batch)
        return await answer

    def _start_batch(self) -> None:
        loop = asyncio.get_running_loop()
        batch, self._pending = self._pending[:_MAX_BATCH_SIZE], self._pending[_MAX_BATCH_SIZE:]
        is_storm = len(self._arrival_times) == _BURST_ITEMS and loop.time() - self._arrival_times[0] < _BURST_WINDOW_S
        self._next_batch_at = loop.time() + (_BURST_INTERVAL_S if is_storm else 0)
        if self._pending:
            loop.call_soon(self._start_batch)
        task = loop.create_task(self._run_batch(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_batch(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        answers: Sequence[Result | Exception]
        try:
            answers = await self._process_batch([item for item, _ in batch])
        except Exception as error:  # every one of them hears of it
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # who asked has gone
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
