"""What a monitoring system asks."""

from __future__ import annotations

import hmac

from prometheus_client import CONTENT_TYPE_LATEST
from tornado.web import RequestHandler

from handlers.base import ApiHandler, BaseHandler
from handlers.http.access_log import log_request


class MetricsHandler(ApiHandler):
    """GET /metrics: for admins, and for who has METRICS_TOKEN as Bearer token."""

    metrics_label = "metrics"
    is_admin_only = True

    async def prepare(self) -> None:
        """The token is good also while the servers are away that would know an admin: that is when it matters."""
        if not self._has_token():
            await super().prepare()

    async def get(self) -> None:
        """Prometheus' text format, of all web processes of this machine."""
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.set_header("Cache-Control", "no-store")
        self.finish(await self.services.metrics.render())

    def _has_token(self) -> bool:
        token, given = self.services.settings.metrics_token.get_secret_value(), self._bearer_token() or ""
        return bool(token) and hmac.compare_digest(token.encode(), given.encode())


def record_request(handler: RequestHandler) -> None:
    """Tornado calls this when an answer is complete: a line in the log, and one more that is counted."""
    log_request(handler)
    if isinstance(handler, BaseHandler):
        handler.services.metrics.observe(handler.metrics_label, handler.get_status(), handler.request.request_time())
