"""Metrics for a monitoring system."""

from __future__ import annotations

import hmac

from prometheus_client import CONTENT_TYPE_LATEST
from tornado.web import RequestHandler

from handlers.base import ApiHandler, BaseHandler
from handlers.http.access_log import log_request


class MetricsHandler(ApiHandler):
    """GET /metrics: for admins, and for clients that send METRICS_TOKEN as their Bearer token."""

    metrics_label = "metrics"
    is_admin_only = True

    async def prepare(self) -> None:
        """Check METRICS_TOKEN first: unlike a login, it works during an outage, when metrics matter most."""
        if not self._has_token():
            await super().prepare()

    async def get(self) -> None:
        """Respond with the metrics of all web processes on this machine, in Prometheus' text format."""
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.set_header("Cache-Control", "no-store")
        self.finish(await self.services.metrics.render())

    def _has_token(self) -> bool:
        expected, token = self.services.settings.metrics_token.get_secret_value(), self._bearer_token() or ""
        return bool(expected) and hmac.compare_digest(expected.encode(), token.encode())


def record_request(handler: RequestHandler) -> None:
    """Log and count a request. Tornado calls this when a response is complete."""
    log_request(handler)
    if isinstance(handler, BaseHandler):
        handler.services.metrics.observe(handler.metrics_label, handler.get_status(), handler.request.request_time())
