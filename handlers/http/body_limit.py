"""A limit for bodies that are not uploads. A longer body is answered with 413 as JSON before it is read.

What the client still sends is discarded while its connection lingers, see `handlers.http.lingering`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPServerRequest, RequestStartLine, ResponseStartLine
from tornado.web import Application, RequestHandler

from handlers.tornado_internals.connections import disconnect_after_response
from handlers.tornado_internals.request_handlers import streams_body

# Bytes buffered per connection before authentication. The longest useful body has two passwords of 4,096 characters,
# each of which JSON may write in 12 bytes.
MAX_BODY_BYTES = 128 * 1024
_MAX_CHUNK_BYTES = 64 * 1024**3  # a longer chunk, or body of unknown length, is refused without asking a handler


class BodyLimitedApplication(Application):
    """An application whose handlers get at most `MAX_BODY_BYTES` of a body, unless they stream it."""

    def get_handler_delegate(
        self, request: HTTPServerRequest, target_class: type[RequestHandler], *args: Any, **kwargs: Any
    ) -> Any:
        """Called by Tornado for each request, before its body arrives."""
        inner = super().get_handler_delegate(request, target_class, *args, **kwargs)
        return inner if streams_body(target_class) else _BodyLimiter(inner, request)


def is_body_truncated(request: HTTPServerRequest) -> bool:
    """Return whether a part of this request's body has been discarded."""
    return getattr(request, "body_was_cut", False)


def accept_oversized_body(request: HTTPServerRequest) -> None:
    """Have Tornado accept a body of any size: the handler limits it, or answers before it is read."""
    length = int(request.headers.get("Content-Length") or 0)
    request.connection.set_max_body_size(max(_MAX_CHUNK_BYTES, length))  # type: ignore[union-attr]  # HTTP1Connection has it


def read_in_large_pieces(request: HTTPServerRequest, size: int) -> None:
    """Read up to `size` bytes of this connection at once, from now on."""
    stream = getattr(request.connection, "stream", None)
    if stream is not None:
        stream.read_chunk_size = max(size, stream.read_chunk_size)


class _BodyLimiter(HTTPMessageDelegate):
    """Passes a short body on, and has a longer one answered at once, before it is read."""

    def __init__(self, inner: HTTPMessageDelegate, request: HTTPServerRequest) -> None:
        self._inner = inner
        self._request = request
        self._received_bytes = 0
        self._is_answered = False

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        accept_oversized_body(self._request)
        pending = self._inner.headers_received(start_line, headers)
        if int(headers.get("Content-Length") or 0) > MAX_BODY_BYTES:
            self._answer_now()
        return pending

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._received_bytes += len(chunk)
        if self._received_bytes <= MAX_BODY_BYTES and not self._is_answered:
            return self._inner.data_received(chunk)
        self._answer_now()
        return None

    def finish(self) -> None:
        if not self._is_answered:
            self._inner.finish()

    def on_connection_close(self) -> None:
        self._inner.on_connection_close()

    def _answer_now(self) -> None:
        """Run the handler, which refuses such a request with 413, 404, 405 or the like. The connection ends then."""
        if self._is_answered:
            return
        self._is_answered = True
        self._request.body_was_cut = True  # type: ignore[attr-defined]  # both ends only share the request
        self._request.headers.pop("Content-Type", None)  # otherwise Tornado parses the part and calls it malformed
        if self._request.connection is not None:
            disconnect_after_response(self._request.connection)
        self._inner.finish()
