"""The private parts of Tornado that `handlers.tornado_internals` relies on: one test for each, named after it.

Each test fails when a new version of Tornado, or of `http.cookies`, no longer has the part or gives it another meaning.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler, stream_request_body

from handlers.tornado_internals import bad_requests, connections, cookies, headers, request_handlers, streams
from handlers.tornado_internals.request_handlers import ObservedHandler
from handlers.tornado_internals.servers import AcceptingServer

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "handlers" / "tornado_internals"
PRIVATE_NAMES = (
    "_parse_headers", "_disconnect_on_finish", "_read_finished", "_request_start_line", "_response_start_line",
    "_total_write_done_index", "_read_buffer", "_read_buffer_size", "_as_list", "_connections", "_handle_connection",
    "_finished", "_headers_written", "_reason", "_handle_request_exception", "_execute", "_has_stream_request_body",
    "_reserved", "_flags", "_new_cookie",
)  # fmt: skip

GET = b"GET /path HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /path HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"


class Message(HTTPMessageDelegate):
    """Answers a request with 200, and calls `on_step` when headers and body have been received, and at the end."""

    def __init__(self, connection: HTTP1Connection, on_step: Callable[[str, HTTP1Connection], object]) -> None:
        self._connection = connection
        self._on_step = on_step

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self._on_step("headers", self._connection)
        return None

    def finish(self) -> None:
        self._on_step("body", self._connection)
        start_line = ResponseStartLine("HTTP/1.1", 200, "OK")
        self._connection.write_headers(start_line, HTTPHeaders({"Content-Length": "2"}), b"ok")
        self._on_step("response", self._connection)
        self._connection.finish()


class Delegate(HTTPServerConnectionDelegate):
    """Answers all requests by a `Message`."""

    def __init__(self, on_step: Callable[[str, HTTP1Connection], object]) -> None:
        self._on_step = on_step

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        assert isinstance(request_conn, HTTP1Connection)
        self._on_step("start", request_conn)
        return Message(request_conn, self._on_step)


@contextmanager
def serving(server: HTTPServer) -> Iterator[int]:
    """Serve on a free port, which is yielded."""
    listener, port = bind_unused_port()
    server.add_socket(listener)
    yield port
    server.stop()


async def exchange(server: HTTPServer, request: bytes, expected: bytes = b"") -> bytes:
    """Return what the server sends until it closes the connection, or until `expected`."""
    with serving(server) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        async with asyncio.timeout(10):
            response = await reader.readuntil(expected) if expected else await reader.read()
        writer.close()
        await server.close_all_connections()
        return response


async def values(getter: Callable[[HTTP1Connection], object], request: bytes = GET) -> dict[str, object]:
    """Return what a getter returns at each step of a request."""
    found: dict[str, object] = {}

    def on_step(step: str, connection: HTTP1Connection) -> None:
        found.setdefault(step, getter(connection))

    await exchange(HTTPServer(Delegate(on_step)), request, b"ok")
    return found


# Connections --------------------------------------------------------------------------------------------------------


async def test_parse_headers() -> None:
    heads: list[bytes] = []

    def parse(head: bytes) -> tuple[str, HTTPHeaders]:
        heads.append(head)
        return "GET /other HTTP/1.1", HTTPHeaders({"Host": "y", "Connection": "close"})

    def on_step(step: str, connection: HTTP1Connection) -> None:
        if step == "start":
            connections.set_header_parser(connection, parse)
        if step == "body":
            assert connections.request_start_line(connection) == RequestStartLine("GET", "/other", "HTTP/1.1")

    assert (await exchange(HTTPServer(Delegate(on_step)), GET)).endswith(b"ok")
    assert heads == [GET]


async def test_disconnect_on_finish() -> None:
    def on_step(step: str, connection: HTTP1Connection) -> None:
        if step == "body":
            assert not connections.will_disconnect(connection)
            connections.disconnect_after_response(connection)
            assert connections.will_disconnect(connection)

    response = await exchange(HTTPServer(Delegate(on_step)), GET)  # until the server closes
    assert b"\r\nConnection: close\r\n" in response
    closing = GET.replace(b"Host", b"Connection: close\r\nHost")
    assert (await values(connections.will_disconnect, closing))["headers"] is True


async def test_read_finished() -> None:
    steps = await values(connections.is_request_read, POST)
    assert (steps["headers"], steps["body"]) == (False, True)


async def test_request_start_line() -> None:
    steps = await values(connections.request_start_line)
    assert steps["start"] is None
    assert steps["body"] == RequestStartLine("GET", "/path", "HTTP/1.1")


async def test_response_start_line() -> None:
    steps = await values(connections.has_response_begun)
    assert (steps["headers"], steps["body"], steps["response"]) == (False, False, True)


def test_other_connections_have_no_state() -> None:
    connection = HTTPConnection()
    connections.disconnect_after_response(connection)
    connections.set_header_parser(connection, lambda _: ("", HTTPHeaders()))
    assert connections.is_request_read(connection)
    assert connections.request_start_line(connection) is None
    assert not connections.will_disconnect(connection)
    assert not connections.has_response_begun(connection)


# Streams ------------------------------------------------------------------------------------------------------------


async def test_total_write_done_index() -> None:
    steps = await values(lambda connection: streams.written_bytes(connection.stream))
    assert steps["body"] == 0
    assert isinstance(steps["response"], int)
    assert steps["response"] > len("HTTP/1.1 200 OK")


async def test_read_buffer() -> None:
    steps = await values(lambda connection: streams.buffered_tail(connection.stream, 4), GET + b"pipelined")
    assert steps["headers"] == b"ined"


async def test_read_buffer_size() -> None:
    steps = await values(lambda connection: streams.buffered_bytes(connection.stream), GET + b"pipelined")
    assert steps["headers"] == len(b"pipelined")


# Headers and malformed requests -------------------------------------------------------------------------------------


def test_as_list() -> None:
    original = HTTPHeaders({"Host": "x"})
    original.add("Via", "a")
    original.add("Via", "b")
    copied = headers.copy_headers(original)
    assert list(copied.get_all()) == list(original.get_all()) == [("Host", "x"), ("Via", "a"), ("Via", "b")]
    copied.add("Via", "c")
    assert (original["Via"], copied["Via"]) == ("a,b", "a,b,c")


async def test_bad_request_response() -> None:
    response = await exchange(HTTPServer(Delegate(lambda *_: None)), b"nonsense\r\n\r\n")
    assert response == bad_requests.BAD_REQUEST_RESPONSE


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 11\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nb\r\n"],
)
async def test_too_large_messages(framing: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tornado.general")
    server = HTTPServer(Delegate(lambda *_: None), max_body_size=10)
    await exchange(server, b"POST / HTTP/1.1\r\nHost: x\r\n" + framing)
    (record,) = [record for record in caplog.records if record.name == "tornado.general"]
    error = record.args[-1] if isinstance(record.args, tuple) else None
    assert bad_requests.is_body_too_large(error if isinstance(error, HTTPInputError) else None)
    assert not bad_requests.is_body_too_large(HTTPInputError("another message"))


# Servers ------------------------------------------------------------------------------------------------------------


class RecordingServer(AcceptingServer):
    """Counts the connections that it accepts."""

    accepted = 0

    def accept(self, connection: socket, address: Any) -> None:
        self.accepted += 1
        HTTPServer._handle_connection(self, connection, address)


async def test_handle_connection() -> None:
    server = RecordingServer(Delegate(lambda *_: None))
    assert (await exchange(server, GET, b"ok")).endswith(b"ok")
    assert server.accepted == 1


async def test_connections() -> None:
    counts: list[int] = []
    server = RecordingServer(Delegate(lambda *_: counts.append(server.open_connections)))
    assert server.open_connections == 0
    await exchange(server, GET, b"ok")
    assert set(counts) == {1}


# Request handlers ---------------------------------------------------------------------------------------------------


class Observed(ObservedHandler):
    """Runs the test's own function for a GET."""

    def initialize(self, action: Callable[[Observed], object], events: list[str]) -> None:
        self.action, self.events = action, events

    async def get(self) -> None:
        self.action(self)

    def on_unanswered(self) -> None:
        self.events.append("unanswered")
        self.set_status(204)
        self.finish()

    def log_exception(self, *_: Any) -> None:
        self.events.append("exception")


async def run_handler(action: Callable[[Observed], object], events: list[str] | None = None) -> bytes:
    """Return the response of a handler whose `get` calls `action`."""
    arguments = {"action": action, "events": [] if events is None else events}
    server = HTTPServer(Application([("/path", Observed, arguments)]))
    return await exchange(server, GET.replace(b"Host", b"Connection: close\r\nHost"))


async def test_finished() -> None:
    states: list[bool] = []

    def action(handler: Observed) -> None:
        states.append(handler.is_finished)
        handler.finish("x")
        states.append(handler.is_finished)

    await run_handler(action)
    assert states == [False, True]


async def test_finished_can_be_set() -> None:
    events: list[str] = []

    def action(handler: Observed) -> None:
        handler.mark_finished()
        assert handler.request.connection is not None
        asyncio.get_running_loop().call_soon(handler.request.connection.close)  # type: ignore[attr-defined]

    assert await run_handler(action, events) == b""
    assert events == []


async def test_headers_written() -> None:
    states: list[bool] = []

    def action(handler: Observed) -> None:
        states.append(handler.is_head_sent)
        handler.flush()
        states.append(handler.is_head_sent)
        handler.finish()

    await run_handler(action)
    assert states == [False, True]


async def test_reason() -> None:
    reasons: list[str] = []

    def action(handler: Observed) -> None:
        handler.set_status(404)
        reasons.append(handler.reason)
        handler.finish()

    await run_handler(action)
    assert reasons == ["Not Found"]


async def test_handle_request_exception() -> None:
    events: list[str] = []

    def action(handler: Observed) -> None:
        try:
            raise RuntimeError
        except RuntimeError as error:
            handler.handle_exception(error)

    assert (await run_handler(action, events)).startswith(b"HTTP/1.1 500 ")
    assert events == ["exception"]


async def test_execute() -> None:
    events: list[str] = []
    response = await run_handler(lambda handler: setattr(handler, "_auto_finish", False), events)
    assert response.startswith(b"HTTP/1.1 204 ")
    assert events == ["unanswered"]


def test_has_stream_request_body() -> None:
    @stream_request_body
    class Streaming(RequestHandler):
        pass

    assert request_handlers.streams_body(Streaming)
    assert not request_handlers.streams_body(RequestHandler)


# Cookies ------------------------------------------------------------------------------------------------------------


def test_reserved_and_flags() -> None:
    cookies.register_partitioned()
    cookie = SimpleCookie({"name": "value"})
    cookie["name"]["partitioned"] = True
    assert cookie.output() == "Set-Cookie: name=value; Partitioned"


async def test_new_cookie() -> None:
    def action(handler: Observed) -> None:
        handler.set_cookie("name", "value")
        cookies.set_partitioned(handler, "name")
        handler.finish()

    cookies.register_partitioned()
    assert b"Set-Cookie: name=value; Partitioned; Path=/\r\n" in await run_handler(action)


# The folder ---------------------------------------------------------------------------------------------------------


def private_names(path: Path) -> set[str]:
    """Return the private names of other objects that a module accesses, imports, or overrides in a class."""
    tree = ast.parse(path.read_text())
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            names |= {item.name for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {name for name in names if re.match(r"_[a-z]", name)}


def test_every_private_part_is_listed_and_has_a_test() -> None:
    assert set().union(*map(private_names, FOLDER.glob("*.py"))) == set(PRIVATE_NAMES)
    tests = [name for name in globals() if name.startswith("test_")]
    assert [name for name in PRIVATE_NAMES if not any(name in test for test in tests)] == []


@pytest.mark.parametrize("package", ["handlers", "videoflix", "transcode"])
def test_nothing_outside_the_folder_touches_private_parts(package: str) -> None:
    pattern = re.compile(rf"(?:\.|\bimport |, )(?:{'|'.join(PRIVATE_NAMES)})\b")
    modules = [path for path in (ROOT / package).rglob("*.py") if FOLDER not in path.parents]
    assert [str(path) for path in modules if pattern.search(path.read_text())] == []


def test_handlers_touch_private_attributes_of_their_own_objects_only() -> None:
    for path in (ROOT / "handlers").rglob("*.py"):
        if FOLDER not in path.parents:
            nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
            foreign = [node for node in nodes if ast.unparse(node.value) not in ("self", "cls")]
            assert [ast.unparse(node) for node in foreign if re.match(r"_[a-z]", node.attr)] == [], path
