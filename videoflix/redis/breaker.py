"""A circuit breaker for Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

import structlog
from redis.exceptions import RedisError

_log = structlog.get_logger(__name__)

Result = TypeVar("Result")
Default = TypeVar("Default")

_OPEN_S = 5.0  # how long Redis is not called after a failure


class CircuitBreaker:
    """Calls Redis, but not for a while after a failure, so that callers do not wait for an unavailable server.

    `purpose` names the caller in the log.
    """

    def __init__(self, purpose: str, timeout_s: float | None = None) -> None:
        self._purpose = purpose
        self._timeout_s = timeout_s
        self._open_until = float("-inf")  # by time.monotonic()

    async def call(self, awaitable: Awaitable[Result], default: Default) -> Result | Default:
        """Return the result of a Redis call, or the default if the call fails or Redis has just failed."""
        if time.monotonic() < self._open_until:
            if asyncio.iscoroutine(awaitable):
                awaitable.close()  # else Python warns that it was never awaited
            return default
        try:
            async with asyncio.timeout(self._timeout_s):
                return await awaitable
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("redis_call_failed", purpose=self._purpose, error=str(error), paused_s=_OPEN_S)
            self._open_until = time.monotonic() + _OPEN_S
            return default
