"""What a load balancer or `docker compose` asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from handlers.base import ApiHandler

_log = logging.getLogger(__name__)
_PATIENCE = 2.0  # seconds for each server to answer


class AliveHandler(ApiHandler):
    """GET /healthz: this process answers."""

    public = True

    def get(self) -> None:
        """200 always."""
        self.answer({"status": "ok"})


class ReadyHandler(ApiHandler):
    """GET /readyz: this process and the servers that it needs answer."""

    public = True

    async def get(self) -> None:
        """200, or 503 with the name of what does not answer."""
        checks = self.services.checks
        results = await asyncio.gather(*(_answers(name, check) for name, check in checks.items()))
        state = {name: "ok" if well else "unreachable" for name, well in zip(checks, results, strict=True)}
        self.answer({"status": "ok" if all(results) else "unavailable", **state}, 200 if all(results) else 503)


async def _answers(name: str, check: Callable[[], Awaitable[object]]) -> bool:
    try:
        await asyncio.wait_for(check(), _PATIENCE)
    except Exception as error:  # whatever a driver raises: the answer is that it does not answer
        _log.warning("unreachable server=%s error=%s", name, error)
        return False
    return True
