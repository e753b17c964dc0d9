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
from transcode.timing import DEFAULT_TIMING, Timing

# Answers of a Redis that is there but cannot serve for the moment. The driver has classes for some, and takes their
# names out of the text; before Redis 7, what a script met is told in a text of its own.
_TRANSIENT_ERRORS = (OutOfMemoryError, ReadOnlyError, MasterDownError, ClusterDownError)
_TRANSIENT_ERROR_CODES = ("MISCONF", "OOM ", "LOADING", "READONLY", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS")


class LedgerUnavailable(Exception):
    """Redis is away, or takes no writes at the moment; the same call may be repeated later."""


class LedgerConnection:
    """Any method raises `LedgerUnavailable`. The client stays its owner's to close."""

    def __init__(self, client: Redis, prefix: str = "videoflix:", timing: Timing = DEFAULT_TIMING) -> None:
        self._client = client
        self._prefix = prefix
        self._timing = timing
        self._scripts = {name: client.register_script(source) for name, source in scripts.load_scripts().items()}

    @property
    def timing(self) -> Timing:
        """The time constants that leases and retries follow."""
        return self._timing

    @staticmethod
    def _to_ms(seconds: float) -> int:
        return int(seconds * 1000)

    async def _run_script(self, script_name: str, **arguments: Any) -> Any:
        return await self._call(
            self._scripts[script_name](keys=[self._prefix], args=[json.dumps(arguments)]),
        )

    async def _call(self, awaitable: Any) -> Any:
        """However often the driver tries again, heartbeats need an answer of some kind in time."""
        try:
            async with asyncio.timeout(self._timing.redis_timeout_s):
                return _decode(await awaitable)
        except NoScriptError as error:  # Redis restarted between the load and the call
            raise LedgerUnavailable(str(error)) from error
        except ResponseError as error:
            if isinstance(error, _TRANSIENT_ERRORS) or any(word in str(error) for word in _TRANSIENT_ERROR_CODES):
                raise LedgerUnavailable(str(error)) from error
            raise
        except TimeoutError as error:
            raise LedgerUnavailable("Redis does not answer.") from error
        except (RedisError, OSError) as error:
            raise LedgerUnavailable(str(error)) from error


def _decode(reply: Any) -> Any:
    """The same answer from a client that decodes and from one that does not."""
    if isinstance(reply, bytes):
        return reply.decode()
    return [_decode(one) for one in reply] if isinstance(reply, list) else reply
