"""Where requests come in: who answers each of them."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

from tornado.http1connection import HTTP1Connection
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.web import RequestHandler

from handlers.base import BaseHandler
from handlers.http.lingering import LingeringStream
from handlers.media.fast_path import FastPath
from handlers.tornado_internals.body_limit import BodyLimitedApplication
from handlers.tornado_internals.connections import Connections, abandon
from handlers.tornado_internals.header_cache import CachingHeaderParser
from videoflix.services import Services


class Application(BodyLimitedApplication):
    """A Tornado application with a fast lane for published files."""

    def __init__(self, handlers: Any, services: Services, **settings: Any) -> None:
        super().__init__(handlers, **settings)
        self.services = services
        self.fast_path = FastPath(services)
        self.connections = Connections()
        self._header_parser = CachingHeaderParser()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Who answers is decided when the headers are there."""
        self.connections.on_idle(server_conn, request_conn)
        request_conn._parse_headers = self._header_parser.parse  # type: ignore[attr-defined]  # Tornado has no other way in
        return _Dispatcher(self, server_conn, request_conn)

    def get_handler_delegate(
        self, request: HTTPServerRequest, target_class: type[RequestHandler], *given: Any, **named: Any
    ) -> Any:
        """Called by Tornado when it is known which handler answers."""
        if issubclass(target_class, BaseHandler) and request.connection is not None:
            self.connections.allow(request.connection, target_class.answer_within_s)
        return super().get_handler_delegate(request, target_class, *given, **named)

    def route_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Tornado's way through the routes."""
        return super().start_request(server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """A connection is closed."""
        self.connections.on_close(server_conn)


class _Dispatcher(HTTPMessageDelegate):
    """Waits for the headers of a request, then hands everything to the lane or to the application."""

    _delegate: HTTPMessageDelegate | None = None
    _unread: float = 0  # bytes of the body that are still to come

    def __init__(self, application: Application, server_conn: object, request_conn: HTTPConnection) -> None:
        self._application = application
        self._connection_pair = server_conn, request_conn

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Decide."""
        server_conn, request_conn = self._connection_pair
        self._unread = _length_of_body(headers)
        self._expect(self._unread)
        self._application.connections.on_headers(server_conn, request_conn, has_body=_has_body(headers))
        try:
            return self._decide(start_line, headers)
        except HTTPInputError:  # Tornado's own way to a 400
            raise
        except Exception as error:
            self._give_up(error)
            return None

    def _decide(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> Awaitable[None] | None:
        server_conn, request_conn = self._connection_pair
        if isinstance(start_line, RequestStartLine) and isinstance(request_conn, HTTP1Connection):
            self._delegate = self._application.fast_path.try_handle(request_conn, start_line, headers)
            if self._delegate is not None:
                self._application.connections.allow(request_conn, inf)  # `Transfers` has limits of its own
                return None
        self._delegate = self._application.route_request(server_conn, request_conn)
        return self._delegate.headers_received(start_line, headers.copy())

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece of the body."""
        connections, server_conn = self._application.connections, self._connection_pair[0]
        connections.on_body_data(server_conn, len(chunk))
        self._unread -= len(chunk)
        self._expect(self._unread)
        piece = None
        with self._guarded():
            piece = self._delegate.data_received(chunk) if self._delegate else None
        return None if piece is None else connections.track_consumer(server_conn, piece)

    def finish(self) -> None:
        """The request is complete."""
        self._expect(0)
        self._application.connections.on_request_complete(self._connection_pair[0])
        if self._delegate:
            with self._guarded():
                self._delegate.finish()

    def on_connection_close(self) -> None:
        """Before it was complete."""
        if self._delegate:
            with self._guarded():
                self._delegate.on_connection_close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Whatever an application raises here, the client is told, and Tornado prints no trace of it."""
        try:
            yield
        except HTTPInputError:  # Tornado's own way to a 400
            raise
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        abandon(self._connection_pair[1], f"{type(error).__name__}: {error}"[:200])

    def _expect(self, unread: float) -> None:
        """Tell the stream, which lingers when it is closed before that."""
        request_conn = self._connection_pair[1]
        if isinstance(request_conn, HTTP1Connection) and isinstance(request_conn.stream, LingeringStream):
            request_conn.stream.unread = unread


def _has_body(headers: HTTPHeaders) -> bool:
    return headers.get("Content-Length") is not None or headers.get("Transfer-Encoding") is not None


def _length_of_body(headers: HTTPHeaders) -> float:
    """In bytes, infinite when the client does not say; `HeaderParser` let nothing in that is no length."""
    if headers.get("Transfer-Encoding") is not None:
        return inf
    return int(headers.get("Content-Length") or 0)
