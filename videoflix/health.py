"""Checks whether the servers that a web process needs are reachable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

_log = structlog.get_logger(__name__)

_CHECK_TIMEOUT_S = 2.0

HealthChecks = Mapping[str, Callable[[], Awaitable[object]]]  # by server name; a check raises if the server is down


async def is_reachable(name: str, check: Callable[[], Awaitable[object]]) -> bool:
    """Return whether the server answers in time; if not, log the reason."""
    try:
        await asyncio.wait_for(check(), _CHECK_TIMEOUT_S)
    except Exception as error:  # drivers raise errors of many kinds, and each means that the server is not reachable
        _log.warning("server_unreachable", server=name, error=str(error))
        return False
    return True
