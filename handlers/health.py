"""What a load balancer or `docker compose` asks."""

from __future__ import annotations

import asyncio

from handlers.base import ApiHandler
from videoflix.health import is_reachable


class LivenessHandler(ApiHandler):
    """GET /healthz: this process answers."""

    metrics_label = "health"
    is_public = True

    def get(self) -> None:
        """200 always."""
        self.respond({"status": "ok"})


class ReadinessHandler(ApiHandler):
    """GET /readyz: this process and the servers that it needs answer."""

    metrics_label = "health"
    is_public = True

    async def get(self) -> None:
        """200, or 503 with the name of what does not answer."""
        checks = self.services.health_checks
        results = await asyncio.gather(*(is_reachable(name, check) for name, check in checks.items()))
        state = {name: "ok" if well else "unreachable" for name, well in zip(checks, results, strict=True)}
        self.respond({"status": "ok" if all(results) else "unavailable", **state}, 200 if all(results) else 503)
