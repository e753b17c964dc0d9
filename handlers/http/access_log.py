"""One line for each request, without what opens something: playback tokens in queries, tokens of mails in paths."""

from __future__ import annotations

import logging
import re
import string
from urllib.parse import quote

from tornado.web import RequestHandler

_log = logging.getLogger("videoflix.access")

_ROUTINE_SUFFIXES = (".ts", ".vtt", ".jpg", "/progress", "/healthz", "/readyz", "/metrics")
_TOKEN_PATH = re.compile(r"(/api/(?:activate|password_confirm))/.*", re.DOTALL)
_UNQUOTED_CHARACTERS = string.punctuation  # Tornado takes no request line with control characters of ASCII


def log_request(handler: RequestHandler) -> None:
    """Tornado calls this when an answer is complete."""
    request = handler.request
    request_id = getattr(handler, "request_id", "-")
    write_access_line(
        request.method, request.path, handler.get_status(), request.request_time(), request.remote_ip, request_id
    )


def redact_path(path: str) -> str:
    """The path, without the token of a link, and without characters that a terminal obeys."""
    path = _TOKEN_PATH.sub(r"\1/...", path)
    return path if path.isascii() else quote(path, _UNQUOTED_CHARACTERS, "latin1", "replace")


def write_access_line(
    method: str | None, path: str, status: int, duration_s: float, client: str | None, request_id: str
) -> None:
    """Method, path, status and milliseconds."""
    level = _log_level(path, status)
    if not _log.isEnabledFor(level):
        return
    _log.log(
        level,
        "request method=%s path=%s status=%d ms=%.1f client=%s request_id=%s",
        method,
        redact_path(path),
        status,
        duration_s * 1000,
        client,
        request_id,
    )


def _log_level(path: str, status: int) -> int:
    """What comes every few seconds from each player and each watchdog would bury the rest."""
    if status >= 500:
        return logging.WARNING
    return logging.DEBUG if status < 400 and path.removesuffix("/").endswith(_ROUTINE_SUFFIXES) else logging.INFO
