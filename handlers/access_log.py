"""One line for each request, without its query: playback tokens travel there."""

from __future__ import annotations

import logging

from tornado.web import RequestHandler

_log = logging.getLogger("videoflix.access")


def log_request(handler: RequestHandler) -> None:
    """Method, path, status and milliseconds; warnings from 500 on."""
    status = handler.get_status()
    _log.log(
        logging.WARNING if status >= 500 else logging.INFO,
        "request method=%s path=%s status=%d ms=%.1f client=%s request_id=%s",
        handler.request.method,
        handler.request.path,
        status,
        handler.request.request_time() * 1000,
        handler.request.remote_ip,
        getattr(handler, "request_id", "-"),
    )
