"""The Tornado application: published files take the fast path, all other requests the routes."""

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
from handlers.http.abandon import abandon
from handlers.http.body_limit import BodyLimitedApplication
from handlers.http.connections import Connections
from handlers.http.header_parser import CachingHeaderParser
from handlers.http.lingering import LingeringStream
from handlers.media.fast_path import FastPath
from handlers.tornado_internals.connections import set_header_parser
from videoflix.services import Services

_MAX_REASON_CHARACTERS = 200  # of an error's text in the log


class Application(BodyLimitedApplication):
    """A Tornado application with a fast path for published files."""

    def __init__(self, handlers: Any, services: Services, **settings: Any) -> None:
        super().__init__(handlers, **settings)
        self.services = services
        self.fast_path = FastPath(services)
        self.connections = Connections()
        self._header_parser = CachingHeaderParser()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Return a delegate that decides, once the headers have been received, what answers the request."""
        self.connections.on_idle(server_conn, request_conn)
        set_header_parser(request_conn, self._header_parser.parse)
        return _Dispatcher(self, server_conn, request_conn)

    def get_handler_delegate(
        self, request: HTTPServerRequest, target_class: type[RequestHandler], *args: Any, **kwargs: Any
    ) -> Any:
        """Called by Tornado when it is known which handler answers a request."""
        if issubclass(target_class, BaseHandler) and request.connection is not None:
            self.connections.set_response_timeout(request.connection, target_class.answer_within_s)
        return super().get_handler_delegate(request, target_class, *args, **kwargs)

    def route_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Return the delegate of Tornado's routing."""
        return super().start_request(server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Called by the server when a connection has been closed."""
        self.connections.on_close(server_conn)


class _Dispatcher(HTTPMessageDelegate):
    """Waits for the headers of a request, then passes everything to the fast path or to the routes."""

    _delegate: HTTPMessageDelegate | None = None
    _unread: float = 0  # bytes of the body that are still to come

    def __init__(self, application: Application, server_conn: object, request_conn: HTTPConnection) -> None:
        self._application = application
        self._server_conn = server_conn
        self._request_conn = request_conn

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Choose the delegate."""
        self._set_unread(_body_length(headers))
        self._application.connections.on_headers(self._server_conn, self._request_conn, has_body=_has_body(headers))
        try:
            return self._dispatch(start_line, headers)
        except HTTPInputError:  # Tornado answers it with 400
            raise
        except Exception as error:
            self._abandon(error)
            return None

    def _dispatch(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        request_conn = self._request_conn
        if isinstance(start_line, RequestStartLine) and isinstance(request_conn, HTTP1Connection):
            self._delegate = self._application.fast_path.try_handle(request_conn, start_line, headers)
            if self._delegate is not None:
                # `SendfileTransfers` has a timeout of its own.
                self._application.connections.set_response_timeout(request_conn, inf)
                return None
        self._delegate = self._application.route_request(self._server_conn, request_conn)
        return self._delegate.headers_received(start_line, headers.copy())

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Pass a piece of the body on."""
        connections = self._application.connections
        connections.on_body_data(self._server_conn, len(chunk))
        self._set_unread(self._unread - len(chunk))
        pending = None
        with self._guarded():
            pending = self._delegate.data_received(chunk) if self._delegate else None
        return None if pending is None else connections.track_consumer(self._server_conn, pending)

    def finish(self) -> None:
        """Called by Tornado when the request is complete."""
        self._set_unread(0)
        self._application.connections.on_request_complete(self._server_conn)
        if self._delegate:
            with self._guarded():
                self._delegate.finish()

    def on_connection_close(self) -> None:
        """Called by Tornado when the client disconnects before the request has been answered."""
        if self._delegate:
            with self._guarded():
                self._delegate.on_connection_close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Abandon the request on any exception. Tornado would log a traceback and leave the client waiting."""
        try:
            yield
        except HTTPInputError:  # Tornado answers it with 400
            raise
        except Exception as error:
            self._abandon(error)

    def _abandon(self, error: Exception) -> None:
        abandon(self._request_conn, f"{type(error).__name__}: {error}"[:_MAX_REASON_CHARACTERS])

    def _set_unread(self, unread: float) -> None:
        """Tell the stream how much of the request is still to come: it lingers if it is closed before that."""
        self._unread = unread
        request_conn = self._request_conn
        if isinstance(request_conn, HTTP1Connection) and isinstance(request_conn.stream, LingeringStream):
            request_conn.stream.unread = unread


def _has_body(headers: HTTPHeaders) -> bool:
    return headers.get("Content-Length") is not None or headers.get("Transfer-Encoding") is not None


def _body_length(headers: HTTPHeaders) -> float:
    """Return the length of the body in bytes, infinite if unknown. `CachingHeaderParser` has validated it."""
    if headers.get("Transfer-Encoding") is not None:
        return inf
    return int(headers.get("Content-Length") or 0)
