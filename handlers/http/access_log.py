"""The access log: one line for each request, without secrets.

Playback tokens (in queries) and one-time tokens (in paths) are left out.
"""

from __future__ import annotations

import logging
import re
import string
from urllib.parse import quote

import structlog
from tornado.web import RequestHandler

_LOGGER_NAME = "videoflix.access"
_log = structlog.get_logger(_LOGGER_NAME)
_standard_logger = logging.getLogger(_LOGGER_NAME)  # only asked for its level, which costs less than an event

_ROUTINE_SUFFIXES = (".ts", ".vtt", ".jpg", "/progress", "/healthz", "/readyz", "/metrics")
_TOKEN_PATH = re.compile(r"(/api/(?:activate|password_confirm))/.*", re.DOTALL)
_UNQUOTED_CHARACTERS = string.punctuation  # Tornado rejects request lines with ASCII control characters


def log_request(handler: RequestHandler) -> None:
    """Log a request that a Tornado handler has answered."""
    request = handler.request
    request_id = getattr(handler, "request_id", "-")
    write_access_line(
        request.method, request.path, handler.get_status(), request.request_time(), request.remote_ip, request_id
    )


def redact_path(path: str) -> str:
    """Return the path without one-time tokens and without characters that a terminal would interpret."""
    path = _TOKEN_PATH.sub(r"\1/...", path)
    return path if path.isascii() else quote(path, _UNQUOTED_CHARACTERS, "latin1", "replace")


def write_access_line(
    method: str | None, path: str, status: int, duration_s: float, client: str | None, request_id: str
) -> None:
    """Log a request that has been answered."""
    level = _log_level(path, status)
    if not _standard_logger.isEnabledFor(level):
        return
    _log.log(
        level,
        "request",
        method=method,
        path=redact_path(path),
        status=status,
        duration_ms=round(duration_s * 1000, 1),
        client=client,
        request_id=request_id,
    )


def _log_level(path: str, status: int) -> int:
    """Return DEBUG for what players and monitoring request every few seconds: it would bury the rest."""
    if status >= 500:
        return logging.WARNING
    return logging.DEBUG if status < 400 and path.removesuffix("/").endswith(_ROUTINE_SUFFIXES) else logging.INFO
