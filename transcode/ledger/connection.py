"""The connection to Redis: runs scripts and commands, and tells an outage of Redis from a mistake in the call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from redis.asyncio import Redis
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from transcode.ledger import scripts
from transcode.timing import DEFAULT_TIMING, Timing

T = TypeVar("T")

# Errors of a Redis that is reachable but cannot serve for the moment. The driver has classes for some of them, and
# removes their codes from the message; before Redis 7, an error inside a script has a message of its own.
_TRANSIENT_ERRORS = (OutOfMemoryError, ReadOnlyError, MasterDownError, ClusterDownError)
_TRANSIENT_ERROR_CODES = ("MISCONF", "OOM ", "LOADING", "READONLY", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS")


class LedgerUnavailable(Exception):
    """Redis is unreachable or accepts no writes at the moment. The same call may be repeated later."""


class Retry(Protocol):
    """A policy that repeats an idempotent call while it raises `LedgerUnavailable`."""

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the result of the first call that succeeds."""


class LedgerConnection:
    """Runs the ledger's scripts and commands under one key prefix. The caller owns the client and closes it.

    With `retry`, every call is repeated by that policy; without it, every call raises `LedgerUnavailable`.
    """

    def __init__(
        self, client: Redis, prefix: str = "videoflix:", timing: Timing = DEFAULT_TIMING, retry: Retry | None = None
    ) -> None:
        self.client = client
        self.prefix = prefix
        self._timing = timing
        self._retry = retry
        self._scripts = {name: client.register_script(source) for name, source in scripts.load_scripts().items()}

    async def run_script(self, script_name: str, **arguments: Any) -> Any:
        """Run a script with these arguments, passed as JSON."""
        script, args = self._scripts[script_name], [json.dumps(arguments)]
        return await self.call(lambda: script(keys=[self.prefix], args=args))

    async def call(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """Run a command and return its decoded reply."""
        if self._retry is None:
            return await self._call_once(command)
        return await self._retry(lambda: self._call_once(command))

    async def _call_once(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """Bounded in time, whatever the driver retries, because heartbeats need a result well before a lease ends."""
        try:
            async with asyncio.timeout(self._timing.redis_timeout_s):
                return _decode(await command())
        except NoScriptError as error:  # Redis restarted between loading the script and running it
            raise LedgerUnavailable(str(error)) from error
        except ResponseError as error:
            if isinstance(error, _TRANSIENT_ERRORS) or any(code in str(error) for code in _TRANSIENT_ERROR_CODES):
                raise LedgerUnavailable(str(error)) from error
            raise
        except TimeoutError as error:
            raise LedgerUnavailable("Redis does not answer.") from error
        except (RedisError, OSError) as error:
            raise LedgerUnavailable(str(error)) from error


def to_ms(seconds: float) -> int:
    """Convert seconds to whole milliseconds."""
    return int(seconds * 1000)


def _decode(reply: Any) -> Any:
    """Return the same reply for clients that decode responses and for those that do not."""
    if isinstance(reply, bytes):
        return reply.decode()
    return [_decode(item) for item in reply] if isinstance(reply, list) else reply
