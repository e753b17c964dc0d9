"""What a load balancer or `docker compose` asks."""

from __future__ import annotations

import asyncio

from handlers.base import ApiHandler
from videoflix.checks import answers


class AliveHandler(ApiHandler):
    """GET /healthz: this process answers."""

    metrics_label = "health"
    public = True

    def get(self) -> None:
        """200 always."""
        self.answer({"status": "ok"})


class ReadyHandler(ApiHandler):
    """GET /readyz: this process and the servers that it needs answer."""

    metrics_label = "health"
    public = True

    async def get(self) -> None:
        """200, or 503 with the name of what does not answer."""
        checks = self.services.checks
        results = await asyncio.gather(*(answers(name, check) for name, check in checks.items()))
        state = {name: "ok" if well else "unreachable" for name, well in zip(checks, results, strict=True)}
        self.answer({"status": "ok" if all(results) else "unavailable", **state}, 200 if all(results) else 503)
