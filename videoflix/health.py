"""Whether the servers that a web process needs answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

_log = logging.getLogger(__name__)
_CHECK_TIMEOUT_S = 2.0  # seconds

HealthChecks = Mapping[str, Callable[[], Awaitable[object]]]  # name of a server -> raises when it does not answer


async def is_reachable(name: str, check: Callable[[], Awaitable[object]]) -> bool:
    """Whether the server answers in time; a warning says why not."""
    try:
        await asyncio.wait_for(check(), _CHECK_TIMEOUT_S)
    except Exception as error:  # whatever a driver raises: the answer is that it does not answer
        _log.warning("unreachable server=%s error=%s", name, error)
        return False
    return True
