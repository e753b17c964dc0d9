"""Bodies that are no uploads are small: what goes beyond is answered 413 as JSON, at once.

What the client still sends is thrown away while its connection lingers, see `handlers.http.lingering`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, HTTPServerRequest, RequestStartLine, ResponseStartLine
from tornado.web import Application, RequestHandler, _has_stream_request_body

from handlers.tornado_internals.connections import let_be_the_last

# Bytes that every connection may have in memory before anybody is asked who sends them. The longest body that is of use
# has two passwords of 4,096 characters, each of which JSON may write in 12 bytes.
MAX_BODY_BYTES = 128 * 1024
_MAX_DISCARDED_BYTES = 64 * 1024**3  # bytes; of a longer chunk the client is told without asking a handler


class BodyLimitedApplication(Application):
    """Every handler that does not stream its body gets no more than `MOST` bytes of it."""

    def get_handler_delegate(
        self, request: HTTPServerRequest, target_class: type[RequestHandler], *args: Any, **kwargs: Any
    ) -> Any:
        """Called by Tornado for each request, before its body comes."""
        inner = super().get_handler_delegate(request, target_class, *args, **kwargs)
        return inner if _has_stream_request_body(target_class) else _BodyLimiter(inner, request)


def is_body_truncated(request: HTTPServerRequest) -> bool:
    """Whether a part of this request's body was thrown away."""
    return getattr(request, "body_was_cut", False)


def accept_oversized_body(request: HTTPServerRequest) -> None:
    """Have Tornado accept a body of any size: who takes it decides, or answers before it is read."""
    length = int(request.headers.get("Content-Length") or 0)
    request.connection.set_max_body_size(max(_MAX_DISCARDED_BYTES, length))  # type: ignore[union-attr]  # HTTP1Connection has it


def read_in_large_pieces(request: HTTPServerRequest, size: int) -> None:
    """Read so many bytes of this connection at once; the connection goes on like that."""
    stream = getattr(request.connection, "stream", None)
    if stream is not None:
        stream.read_chunk_size = max(size, stream.read_chunk_size)


class _BodyLimiter(HTTPMessageDelegate):
    """Hands a body on as far as it is short enough; a longer one is answered at once, before it is read."""

    def __init__(self, inner: HTTPMessageDelegate, request: HTTPServerRequest) -> None:
        self._inner = inner
        self._request = request
        self._received_bytes = 0
        self._is_answered = False

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        accept_oversized_body(self._request)
        received = self._inner.headers_received(start_line, headers)
        if int(headers.get("Content-Length") or 0) > MAX_BODY_BYTES:
            self._answer_now()
        return received

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
        """Have the handler say what it says to such a request: 413, 404, 405 and so on; the connection ends then."""
        if self._is_answered:
            return
        self._is_answered = True
        self._request.body_was_cut = True  # type: ignore[attr-defined]  # the request is the only thing both ends know
        self._request.headers.pop("Content-Type", None)  # else Tornado reads the piece and finds it malformed
        if self._request.connection is not None:
            let_be_the_last(self._request.connection)
        self._inner.finish()
