"""Calls of one moment become one call: in a storm, whoever comes shares what a round trip costs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_CROWD, _MOMENT = 10, 0.2  # so many items in so many seconds are a storm
_PAUSE = 0.1  # seconds from one call to the next in a storm
_MOST = 100  # items of one call


class Gathering(Generic[Item, Answer]):
    """`work` answers many items at once, in their order; an answer that is an exception is raised.

    A call is made at once, also one after another. Only in a storm, in which they wait for something else anyway, those
    that come wait for each other, for up to 0.1 s.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]]) -> None:
        self._work = work
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._came: deque[float] = deque(maxlen=_CROWD)  # when, by the loop's clock
        self._again_at = 0.0
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Answer:
        """What is asked after this moment is what `work` answers. Raises what it raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, answer))
        self._came.append(loop.time())
        if len(self._waiting) == 1:
            loop.call_at(self._again_at, self._start)
        return await answer

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        is_storm = len(self._came) == _CROWD and loop.time() - self._came[0] < _MOMENT
        self._again_at = loop.time() + (_PAUSE if is_storm else 0)
        if self._waiting:
            loop.call_soon(self._start)
        task = loop.create_task(self._answer(batch))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._work([item for item, _ in batch])
        except Exception as error:  # every one of them hears of it
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # who asked has gone
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
