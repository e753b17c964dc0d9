"""Calls of one moment become one call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from videoflix.batching import Batcher


class Doubling:
    """Doubles numbers, many at once; odd ones it refuses. Remembers what it was asked together."""

    def __init__(self) -> None:
        self.asked: list[Sequence[int]] = []
        self.together = Batcher(self._double)

    async def _double(self, numbers: Sequence[int]) -> Sequence[int | Exception]:
        self.asked.append(numbers)
        await asyncio.sleep(0)
        return [ValueError(str(number)) if number % 2 else number * 2 for number in numbers]


async def test_calls_of_one_moment_become_one_and_each_gets_its_own_answer() -> None:
    doubling = Doubling()
    answers = await asyncio.gather(*(doubling.together(number) for number in (2, 3, 4, 2)), return_exceptions=True)
    assert doubling.asked == [[2, 3, 4, 2]]
    assert answers[0] == answers[3] == 4
    assert (str(answers[1]), answers[2]) == ("3", 8)


async def test_sequential_calls_do_not_wait_and_concurrent_ones_are_batched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    doubling, loop = Doubling(), asyncio.get_running_loop()
    moment = loop.time()
    monkeypatch.setattr(loop, "time", lambda: moment)

    async def calls_made(count: int, seconds: float) -> int:
        """How many have been made when so many more came and then so much time has passed."""
        nonlocal moment
        for _ in range(count):
            waiting.append(asyncio.create_task(doubling.together(2)))
        for passed in (0, seconds):
            moment += passed
            for _ in range(5):
                await asyncio.sleep(0)
        return len(doubling.asked)

    waiting: list[asyncio.Task[int]] = []
    for number in range(1, 10):
        assert await calls_made(1, 0) == number
    assert await calls_made(1, 0.05) == 10  # the tenth of this moment: a storm from now on
    assert await calls_made(50, 0.04) == 10
    assert await calls_made(0, 0.02) == 11
    assert await calls_made(1, 0.09) == 11
    assert await calls_made(0, 0.3) == 12
    assert await calls_made(1, 0) == 13  # it is over
    assert await asyncio.gather(*waiting) == [4] * 62
    assert [len(asked) for asked in doubling.asked] == [1] * 10 + [50, 1, 1]


async def test_a_crowd_is_served_in_portions() -> None:
    doubling = Doubling()
    assert await asyncio.gather(*(doubling.together(2) for _ in range(250))) == [4] * 250
    assert [len(asked) for asked in doubling.asked] == [100, 100, 50]


async def test_a_failed_batch_fails_its_callers_and_the_next_one_is_served() -> None:
    fails = True

    async def work(items: Sequence[int]) -> Sequence[int]:
        if fails:
            raise OSError("away")
        return items

    together = Batcher(work)
    answers = await asyncio.gather(*(together(number) for number in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [OSError] * 3
    fails = False
    assert await together(1) == 1


async def test_who_goes_away_takes_nobody_along() -> None:
    doubling = Doubling()
    going, staying = asyncio.create_task(doubling.together(2)), asyncio.create_task(doubling.together(4))
    await asyncio.sleep(0)
    going.cancel()
    assert await staying == 8
    with pytest.raises(asyncio.CancelledError):
        await going
