"""Health checks for load balancers and `docker compose`."""

from __future__ import annotations

import asyncio

from handlers import views
from handlers.base import ApiHandler
from videoflix.health import is_reachable


class LivenessHandler(ApiHandler):
    """GET /healthz: whether this process responds."""

    metrics_label = "health"
    is_public = True

    def get(self) -> None:
        """Respond with 200."""
        self.respond(views.health({}))


class ReadinessHandler(ApiHandler):
    """GET /readyz: whether this process and the servers that it needs respond."""

    metrics_label = "health"
    is_public = True

    async def get(self) -> None:
        """Respond with the state of each server: 200, or 503 if one is unreachable."""
        checks = self.services.health_checks
        results = await asyncio.gather(*(is_reachable(name, check) for name, check in checks.items()))
        self.respond(views.health(dict(zip(checks, results, strict=True))), 200 if all(results) else 503)
