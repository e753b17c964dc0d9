"""Every request is answered or its connection closed, whatever fails and in whichever method of a handler."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from tornado.routing import URLSpec

from handlers.application import Application
from handlers.base import ApiHandler, BaseHandler
from handlers.http import connections, lingering
from handlers.http.connection_limits import ClientConnectionLimit
from handlers.server import Server
from handlers.uploads.streaming import StreamedBodyHandler
from tests.http.test_malformed_requests import raw_connection
from tests.support.http_client import HttpClient
from tests.support.sites import running_site
from videoflix.services import Services
from videoflix.settings import Settings

UPLOAD = b"/api/admin/videos/"
ERROR_EVENTS = ("request_abandoned", "request_cleanup_failed", "Uncaught exception", "Exception in")


def head(verb: bytes, path: bytes, *fields: bytes) -> bytes:
    return b"%b %b HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % (verb, path, b"\r\n".join(fields or (b"X: y",)))


REQUESTS = [
    *((head(verb, UPLOAD), 405) for verb in (b"PROPFIND", b"TRACE", b"CONNECT", b"PATCH", b"FOO")),
    *((head(verb, UPLOAD, b"Content-Length: 5"), 405) for verb in (b"PROPFIND", b"PUT", b"MKCOL")),
    (head(b"PROPFIND", b"/api/login/"), 405),
    (head(b"PROPFIND", UPLOAD, b"Transfer-Encoding: chunked"), 405),
    (head(b"POST", UPLOAD, b"Content-Length: 0, 0"), 401),
    (head(b"POST", UPLOAD, b"Content-Length: 0", b"Content-Length: 0"), 401),
    (head(b"POST", UPLOAD, b"Content-Length: 0, 1"), 400),
    *(
        (head(b"POST", path, b"Content-Length: " + length), 400)
        for path in (UPLOAD, b"/api/login/", b"/healthz")
        for length in (b"-1", b"+5", b"1e400", b"9" * 400, b"9" * 5000, b"0x10", b"1_0", b"", b",", b"5 5", b"\xb2")
    ),
    *(
        (head(b"POST", UPLOAD, *fields), 400)
        for fields in (
            (b"Transfer-Encoding: gzip",),
            (b"Transfer-Encoding: identity",),
            (b"Transfer-Encoding: gzip, chunked",),
            (b"Transfer-Encoding: chunked, chunked",),
            (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
            (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
            (b"Transfer-Encoding: ",),
            (b"Transfer-Encoding: \x0bchunked",),
        )
    ),
    (head(b"POST", UPLOAD, b"Transfer-Encoding: CHUNKED"), 401),
    (head(b"POST", UPLOAD, b"Content-Length: 60000000000"), 401),
    (head(b"POST", UPLOAD, b"Content-Length: 60000000000", b"Expect: 100-continue"), 401),
    (head(b"POST", b"/api/login/", b"Content-Length: 60000000000"), 413),
    (head(b"POST", b"/api/video/", b"Content-Length: 60000000000"), 405),
    (head(b"POST", b"/nowhere", b"Content-Length: 60000000000"), 404),
    (head(b"GET", b"/", b"Content-Length: 60000000000"), 413),
]


async def status_of(client: HttpClient, request: bytes) -> int:
    """Return the status of the response, or 0 if the connection is closed without one. Raises TimeoutError."""
    async with raw_connection(client) as (reader, writer), asyncio.timeout(10):
        writer.write(request)
        data = b""
        while not data or data.startswith(b"HTTP/1.1 100"):  # sent to clients that wait for it
            data = await reader.readline() if not data else (await reader.readline(), await reader.readline())[1]
            if not data:
                return 0
        return int(data.split(b" ")[1])


@pytest.mark.parametrize(("request_", "status"), REQUESTS, ids=lambda value: repr(value)[2:90])
async def test_unknown_methods_and_invalid_lengths_are_answered(
    client: HttpClient, app: Application, request_: bytes, status: int
) -> None:
    assert await status_of(client, request_) == status
    async with asyncio.timeout(10):  # although its body never arrives
        while app.connections._active or app.connections._bodies:
            await asyncio.sleep(0.01)


class Broken(ApiHandler):
    """A handler that raises in the method named `wrong`."""

    is_public = True

    def __init__(self, *args: Any, wrong: str, **given: Any) -> None:
        self.wrong = wrong
        super().__init__(*args, **given)

    def fail(self, name: str) -> None:
        if name == self.wrong:
            raise RuntimeError(f"broken {name}")

    def set_default_headers(self) -> None:
        self.fail("set_default_headers")
        super().set_default_headers()

    async def prepare(self) -> None:
        self.fail("prepare")
        await super().prepare()

    def finish(self, chunk: Any = None) -> asyncio.Future[None]:
        self.fail("finish")
        return super().finish(chunk)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.fail("write_error")
        super().write_error(status_code, **kwargs)

    def log_exception(self, *error: Any) -> None:
        self.fail("log_exception")
        super().log_exception(*error)

    def on_finish(self) -> None:
        self.fail("on_finish")
        super().on_finish()

    def compute_etag(self) -> str | None:
        self.fail("compute_etag")
        return super().compute_etag()

    async def get(self) -> None:
        self.fail("get")
        if self.wrong in ("write_error", "log_exception"):
            raise KeyError("while responding")
        if self.wrong == "nothing more after the head":
            self.set_header("Content-Length", 100)
            await self.flush()
            raise KeyError("after the head")
        self.respond({})


class BrokenUpload(Broken, StreamedBodyHandler):
    """The same with a streamed body."""

    async def on_body_chunk(self, pieces: Sequence[bytes]) -> None:
        self.fail("on_body_chunk")

    async def on_body_complete(self) -> None:
        self.fail("on_body_complete")
        self.respond({})

    async def discard(self) -> None:
        self.fail("discard")


METHODS = (
    "set_default_headers", "prepare", "get", "finish", "write_error", "log_exception", "on_finish", "compute_etag",
    "nothing more after the head",
)  # fmt: skip


def serve(app: Application, services: Services, handler: type[BaseHandler], wrong: str) -> None:
    app.add_handlers(".*", [URLSpec("/broken", handler, {"services": services, "wrong": wrong})])


@pytest.mark.parametrize("wrong", METHODS)
async def test_a_handler_that_fails_in_any_method_leaves_no_client_waiting(
    client: HttpClient, app: Application, services: Services, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    serve(app, services, Broken, wrong)
    for verb in (b"GET", b"HEAD"):
        caplog.clear()
        status = await status_of(client, head(verb, b"/broken"))
        assert status == (200 if wrong in ("on_finish", "nothing more after the head") else 500)
        await no_request_left(app)
        records = [record for record in caplog.records if record.getMessage().startswith(ERROR_EVENTS)]
        assert len(records) <= 1
        assert not any(record.exc_info for record in records)
    assert (await client.get("/healthz")).status == 200


@pytest.mark.parametrize(
    "wrong", ["prepare", "on_body_chunk", "on_body_complete", "discard", "finish", "write_error", "on_finish"]
)
async def test_an_upload_that_fails_in_any_method_leaves_no_client_waiting(
    client: HttpClient, app: Application, services: Services, wrong: str
) -> None:
    serve(app, services, BrokenUpload, wrong)
    for body in (b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"):
        request = b"POST /broken HTTP/1.1\r\nHost: x\r\n" + body
        assert await status_of(client, request) in (200, 500)
        await no_request_left(app)


async def no_request_left(app: Application) -> None:
    async with asyncio.timeout(10):
        while app.connections._active:
            await asyncio.sleep(0.01)


class Hanging(ApiHandler):
    """A handler that never answers."""

    is_public = True
    answer_within_s = 0.3

    async def get(self) -> None:
        await asyncio.Event().wait()


async def test_a_handler_that_never_answers_is_abandoned_with_one_log_line(
    client: HttpClient,
    app: Application,
    services: Services,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "_CHECK_INTERVAL_S", 0.05)
    app.add_handlers(".*", [URLSpec("/hanging", Hanging, {"services": services})])
    caplog.set_level(logging.WARNING)
    async with raw_connection(client) as (reader, writer):
        writer.write(head(b"GET", b"/hanging?token=secret"))
        data = await reader.read()
    assert data.startswith(b"HTTP/1.1 500 ")
    assert data.endswith(b"}")
    (message,) = [record.getMessage() for record in caplog.records if record.name.startswith("handlers")]
    assert message.startswith("request_abandoned")
    assert " path=/hanging " in message
    assert "secret" not in message
    assert len(message) < 200


async def test_a_refused_chunked_upload_lingers_until_its_last_chunk(
    client: HttpClient, http_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "_SILENCE_TIMEOUT_S", 60)
    monkeypatch.setattr(lingering, "LINGER_TIMEOUT_S", 60)
    monkeypatch.setattr(lingering, "_SLOW_GRACE_S", 60)
    async with raw_connection(client) as (reader, writer):  # for at most half as long
        writer.write(head(b"POST", UPLOAD, b"Transfer-Encoding: chunked"))
        assert b" 401 " in await reader.readline()
        piece = b"x" * 50_000
        for _ in range(20):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        assert len(http_server._lingering) == 1
        writer.write(b"0\r\n\r\n")
        while len(http_server._lingering):
            await asyncio.sleep(0.01)


async def test_at_the_limit_a_refused_body_gives_way_to_a_new_connection(
    client: HttpClient, http_server: Server, app: Application
) -> None:
    http_server._max_connections = 2
    async with raw_connection(client) as (keep_reader, keep_writer), raw_connection(client) as (reader, writer):
        keep_writer.write(head(b"GET", b"/healthz"))
        assert b" 200 " in await keep_reader.readline()
        writer.write(head(b"POST", b"/api/login/", b"Content-Length: 60000000000"))
        assert b" 413 " in await reader.readline()
        await reader.read()
        async with raw_connection(client) as (third_reader, third_writer):
            third_writer.write(head(b"GET", b"/healthz"))
            assert b" 200 " in await third_reader.readline()
            assert not len(http_server._lingering)
            keep_writer.write(head(b"GET", b"/healthz"))
            assert keep_reader.at_eof() is False
            assert await keep_reader.readuntil(b"HTTP/1.1 200 ")


async def test_a_slow_body_after_the_response_ends_lingering(
    client: HttpClient, http_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "_SILENCE_TIMEOUT_S", 60)
    monkeypatch.setattr(lingering, "LINGER_TIMEOUT_S", 60)
    monkeypatch.setattr(lingering, "_SLOW_GRACE_S", 0.5)
    async with raw_connection(client) as (reader, writer):
        writer.write(head(b"POST", b"/api/login/", b"Content-Length: 60000000000"))
        assert b" 413 " in await reader.readline()
        await reader.read()
        while len(http_server._lingering):
            writer.write(b"x" * 4)
            await asyncio.sleep(0.01)


async def test_the_connections_of_one_address_are_limited(settings: Settings) -> None:
    async with running_site(settings, max_connections_per_address=2) as (client, _):
        async with raw_connection(client) as (_, _), raw_connection(client) as (first_reader, first_writer):
            first_writer.write(head(b"GET", b"/healthz"))
            assert b" 200 " in await first_reader.readline()
            async with raw_connection(client) as (third, _):
                assert await third.read() == b""
        async with asyncio.timeout(10):  # until both have been closed
            while True:
                async with raw_connection(client) as (reader, writer):
                    writer.write(head(b"GET", b"/healthz"))
                    if await reader.readline():
                        break


@pytest.mark.parametrize(("limits", "most"), [({}, 1000), ({"trusted_proxies": 1}, 0)])
def test_connections_are_not_counted_behind_proxies(settings: Settings, limits: dict[str, int], most: int) -> None:
    limit = ClientConnectionLimit(settings.model_copy(update=limits))
    assert limit.max_per_client == most
    releases = [limit.acquire("2001:db8::1") for _ in range(1000)]
    assert limit.allows("2001:db8::2") is not bool(most)  # in the same /64
    assert limit.allows("2001:db8:0:1::2")
    assert limit.allows("")
    for release in releases:
        release()
    assert not limit._counts
