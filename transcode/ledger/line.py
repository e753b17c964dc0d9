"""The line to Redis: runs scripts, and tells a Redis that is away from a question that is wrong."""

from __future__ import annotations

import asyncio
import json
from typing import Any

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
from transcode.times import DEFAULT, Times

# Answers of a Redis that is there but cannot serve for the moment. The driver has classes for some, and takes their
# names out of the text; before Redis 7, what a script met is told in a text of its own.
_PASSING = (OutOfMemoryError, ReadOnlyError, MasterDownError, ClusterDownError)
_PASSING_WORDS = ("MISCONF", "OOM ", "LOADING", "READONLY", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS")


class LedgerUnavailable(Exception):
    """Redis is away, or takes no writes at the moment; the same call may be repeated later."""


class Line:
    """Any method raises `LedgerUnavailable`. The client stays its owner's to close."""

    def __init__(self, client: Redis, prefix: str = "videoflix:", times: Times = DEFAULT) -> None:
        self._client = client
        self._prefix = prefix
        self._times = times
        self._scripts = {name: client.register_script(source) for name, source in scripts.load().items()}

    @property
    def times(self) -> Times:
        """The time constants that leases and retries follow."""
        return self._times

    @staticmethod
    def _ms(value: float) -> int:
        return int(value * 1000)

    async def _run(self, name: str, **arguments: Any) -> Any:
        return await self._guard(
            self._scripts[name](keys=[self._prefix], args=[json.dumps(arguments)]),
        )

    async def _guard(self, call: Any) -> Any:
        """However often the driver tries again, heartbeats need an answer of some kind in time."""
        try:
            async with asyncio.timeout(self._times.answer):
                return _text(await call)
        except NoScriptError as error:  # Redis restarted between the load and the call
            raise LedgerUnavailable(str(error)) from error
        except ResponseError as error:
            if isinstance(error, _PASSING) or any(word in str(error) for word in _PASSING_WORDS):
                raise LedgerUnavailable(str(error)) from error
            raise
        except TimeoutError as error:
            raise LedgerUnavailable("Redis does not answer.") from error
        except (RedisError, OSError) as error:
            raise LedgerUnavailable(str(error)) from error


def _text(answer: Any) -> Any:
    """The same answer from a client that decodes and from one that does not."""
    if isinstance(answer, bytes):
        return answer.decode()
    return [_text(one) for one in answer] if isinstance(answer, list) else answer
