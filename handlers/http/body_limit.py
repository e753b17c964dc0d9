"""Bodies that are no uploads are small: what goes beyond is read and thrown away, and answered 413 as JSON.

A connection that is closed under a client that still sends is reset, and the answer is lost (RFC 9112, 9.6).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPServerRequest, RequestStartLine, ResponseStartLine
from tornado.web import Application, RequestHandler, _has_stream_request_body

# Bytes that every connection may have in memory before anybody is asked who sends them. The longest body that is of use
# has two passwords of 4,096 characters, each of which JSON may write in 12 bytes.
MOST = 128 * 1024
_READ = 64 * 1024**3  # bytes; a film that is sent to the wrong path is told so, and not cut off


class LimitedApplication(Application):
    """Every handler that does not stream its body gets no more than `MOST` bytes of it."""

    def get_handler_delegate(
        self, request: HTTPServerRequest, target_class: type[RequestHandler], *given: Any, **named: Any
    ) -> Any:
        """Called by Tornado for each request, before its body comes."""
        inner = super().get_handler_delegate(request, target_class, *given, **named)
        return inner if _has_stream_request_body(target_class) else _Limited(inner, request)


def is_too_large(request: HTTPServerRequest) -> bool:
    """Whether a part of this request's body was thrown away."""
    return getattr(request, "body_was_cut", False)


def read_whatever_comes(request: HTTPServerRequest) -> None:
    """Have Tornado read a body of nearly any size, which would otherwise close the connection without a word."""
    request.connection.set_max_body_size(_READ)  # type: ignore[union-attr]  # HTTP1Connection has it


class _Limited(HTTPMessageDelegate):
    def __init__(self, inner: HTTPMessageDelegate, request: HTTPServerRequest) -> None:
        self._inner = inner
        self._request = request
        self._size = 0

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        read_whatever_comes(self._request)
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._size += len(chunk)
        if self._size <= MOST:
            return self._inner.data_received(chunk)
        self._request.body_was_cut = True  # type: ignore[attr-defined]  # the request is the only thing both ends know
        self._request.headers.pop("Content-Type", None)  # else Tornado reads the piece and finds it malformed
        return None

    def finish(self) -> None:
        self._inner.finish()

    def on_connection_close(self) -> None:
        self._inner.on_connection_close()
