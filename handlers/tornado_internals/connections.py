"""State of Tornado's HTTP/1.1 connections that it has no public access to.

A connection that is no `HTTP1Connection` has none of it: getters return what an idle connection would, setters do
nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPConnection, HTTPHeaders, RequestStartLine


def set_header_parser(connection: HTTPConnection, parse: Callable[[bytes], tuple[str, HTTPHeaders]]) -> None:
    """Parse the heads of this connection's requests with `parse`, which returns a start line and headers."""
    if isinstance(connection, HTTP1Connection):
        connection._parse_headers = parse  # type: ignore[method-assign, assignment]


def disconnect_after_response(connection: HTTPConnection) -> None:
    """Close the connection after the response, which says `Connection: close` unless its head has been sent."""
    if isinstance(connection, HTTP1Connection):
        connection._disconnect_on_finish = True


def will_disconnect(connection: HTTPConnection) -> bool:
    """Return whether the connection is closed after the response: at the client's request, or at the server's."""
    return isinstance(connection, HTTP1Connection) and connection._disconnect_on_finish


def is_request_read(connection: HTTPConnection) -> bool:
    """Return whether the body of the request has been read to its end."""
    return not isinstance(connection, HTTP1Connection) or connection._read_finished


def request_start_line(connection: HTTPConnection) -> RequestStartLine | None:
    """Return the start line of the request that is being answered."""
    return connection._request_start_line if isinstance(connection, HTTP1Connection) else None


def has_response_begun(connection: HTTPConnection) -> bool:
    """Return whether the head of the response has been written."""
    return isinstance(connection, HTTP1Connection) and connection._response_start_line is not None
