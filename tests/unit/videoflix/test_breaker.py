"""videoflix.redis.breaker: when Redis is called, and what callers get instead of an error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from videoflix.redis import breaker
from videoflix.redis.breaker import CircuitBreaker


class Redis:
    """Counts its calls; each answers with their number or raises."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None

    async def call(self) -> int:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return self.calls


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock of the breaker, which otherwise stands still."""
    current = [100.0]
    monkeypatch.setattr(breaker.time, "monotonic", lambda: current[0])
    return lambda seconds: current.append(current.pop() + seconds)


async def test_a_result_is_passed_on() -> None:
    redis = Redis()
    assert await CircuitBreaker("test").call(redis.call(), None) == 1


@pytest.mark.parametrize("error", [RedisConnectionError("gone"), OSError("gone"), TimeoutError("late")])
async def test_after_a_failure_redis_is_left_alone_for_a_while(
    error: Exception, advance: Callable[[float], None]
) -> None:
    redis, circuit_breaker = Redis(), CircuitBreaker("test")
    redis.error = error
    assert await circuit_breaker.call(redis.call(), "default") == "default"
    redis.error = None
    advance(breaker._OPEN_S - 0.1)
    assert await circuit_breaker.call(redis.call(), "default") == "default"
    assert redis.calls == 1
    advance(0.2)
    assert await circuit_breaker.call(redis.call(), "default") == 2


async def test_a_server_that_hangs_counts_as_a_failure() -> None:
    circuit_breaker = CircuitBreaker("test", timeout_s=0.01)
    assert await circuit_breaker.call(asyncio.Event().wait(), False) is False
    redis = Redis()
    assert await circuit_breaker.call(redis.call(), None) is None
    assert redis.calls == 0


async def test_an_error_of_the_caller_is_raised() -> None:
    redis, circuit_breaker = Redis(), CircuitBreaker("test")
    redis.error = ValueError("a bug")
    with pytest.raises(ValueError, match="a bug"):
        await circuit_breaker.call(redis.call(), None)
