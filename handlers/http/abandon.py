"""The last resort for a request that will never get a response."""

from __future__ import annotations

import json
from contextlib import suppress

import structlog
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPConnection
from tornado.iostream import StreamClosedError

from handlers.http.access_log import redact_path
from handlers.http.response_headers import common_headers, new_request_id
from handlers.tornado_internals.connections import has_response_begun, request_start_line

_log = structlog.get_logger(__name__)


def abandon(connection: HTTPConnection, reason: str, request_id: str = "") -> None:
    """Close a connection whose request gets no response any more, with a 500 if none has begun. Log it once."""
    if not isinstance(connection, HTTP1Connection) or connection.stream is None or connection.stream.closed():
        return
    request_id = request_id or new_request_id()
    start_line = request_start_line(connection)
    method, target = (start_line.method, start_line.path) if start_line else ("-", "-")
    path = redact_path(target.partition("?")[0])
    _log.error("request_abandoned", request_id=request_id, method=method, path=path, reason=reason)
    if not has_response_begun(connection):
        with suppress(StreamClosedError):
            connection.stream.write(_error_response(request_id, is_head=method == "HEAD"))
    connection.close()


def _error_response(request_id: str, *, is_head: bool) -> bytes:
    """Return a complete 500 response, without its body for a HEAD request."""
    body = json.dumps({"detail": "Internal server error.", "request_id": request_id}, separators=(",", ":"))
    headers = [
        *common_headers(None, ()),
        ("X-Request-Id", request_id),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    lines = ["HTTP/1.1 500 Internal Server Error", *(f"{name}: {value}" for name, value in headers), "", ""]
    return ("\r\n".join(lines) + ("" if is_head else body)).encode()
