"""Malformed and oversized requests get a JSON response, also while the client is still sending."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from handlers.http import lingering, request_stream
from handlers.server import Server
from tests.support.http_client import HttpClient
from tests.support.sites import running_site
from videoflix.settings import Settings

ORIGIN = "http://127.0.0.1:5500"
LOGIN = b"POST /api/login/ HTTP/1.1\r\nHost: x\r\nOrigin: http://127.0.0.1:5500\r\n"
CHUNKED = LOGIN + b"Transfer-Encoding: chunked\r\n\r\n"
BAD = "Bad request."

MALFORMED_REQUESTS: list[tuple[bytes, int]] = [
    (b"nonsense\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),  # TLS
    (b"\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x/y@z\r\n\r\n", 400),
    (b"GET http://x/healthz HTTP/1.1\r\n\r\n", 400),
    (b"GET http://user@x/healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", 400),
    (LOGIN + b"Content-Length: -5\r\n\r\n", 400),
    (LOGIN + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    (LOGIN + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", 400),
    (LOGIN + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    (CHUNKED + b"x\r\n", 400),
    (CHUNKED + b"-1\r\n", 400),
    (CHUNKED + b"5\r\nhello!!", 400),
    (CHUNKED + b"5" * 200, 413),
    (CHUNKED + b"z" * 200, 400),
    (CHUNKED + b"0" * 200, 400),
    (CHUNKED + b"ffffffffff\r\n", 413),
    (LOGIN + b"Content-Length: 999999999999\r\n\r\n", 413),
    (LOGIN + b"Expect: 100-continue\r\nContent-Length: 999999999999\r\n\r\n", 413),
    (LOGIN + b"X: " + b"x" * 70_000, 431),
    (LOGIN + b"X: " + b"x" * 300_000 + b"\r\n\r\n", 431),
    (LOGIN + b"X: y\r\n" * 15_000, 431),
    (b"GET /" + b"x" * 70_000, 431),
]


@dataclass(slots=True)
class RawResponse:
    """What the server sent until it closed the connection."""

    status: int
    headers: dict[str, str]
    body: Any


@asynccontextmanager
async def raw_connection(client: HttpClient) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Yield a connection to the server of this client."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rpartition(":")[2]))
    async with asyncio.timeout(30):
        yield reader, writer
    writer.transport.abort()


async def read_response(reader: asyncio.StreamReader) -> RawResponse:
    """Read until the server closes the connection. Raises ConnectionResetError."""
    data = await reader.read()
    head, _, body = data.removeprefix(b"HTTP/1.1 100 (Continue)\r\n\r\n").partition(b"\r\n\r\n")
    start, *lines = head.decode().split("\r\n")
    headers = dict(field.split(": ", 1) for field in lines)
    assert int(headers["Content-Length"]) == len(body)
    return RawResponse(int(start.split(" ")[1]), headers, json.loads(body))


async def test_malformed_requests_get_json_and_leave_one_log_line(
    client: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for request, status in MALFORMED_REQUESTS:
        caplog.clear()
        async with raw_connection(client) as (reader, writer):
            writer.write(request)
            answer = await read_response(reader)
        assert answer.status == status, request[:200]
        assert answer.body == {"detail": request_stream._ERROR_DETAILS[status]}
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Connection"] == "close"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers.get("Access-Control-Allow-Origin") == (ORIGIN if request.startswith(LOGIN) else None)
        lines = [
            r.getMessage() for r in caplog.records if r.name.startswith("videoflix") and "request" in r.getMessage()
        ]
        assert len(lines) == 1
        assert f"status={status} " in lines[0]
        assert lines[0].isprintable()
        assert answer.headers["X-Request-Id"] in lines[0]
        assert not any(record.levelno >= logging.WARNING for record in caplog.records)
    assert (await client.get("/healthz")).status == 200


async def test_terminal_control_characters_do_not_reach_the_log(
    client: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with raw_connection(client) as (reader, writer):
        writer.write(b"GET /\x9b31mred HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await read_response(reader)).status == 404
    assert any(" path=/%9B31mred " in record.getMessage() for record in caplog.records)
    assert all(record.getMessage().isprintable() for record in caplog.records if record.name.startswith("videoflix"))


async def test_a_forbidden_or_ambiguous_origin_gets_no_cors_headers(client: HttpClient) -> None:
    for origins in (b"Origin: http://evil.example\r\n", b"Origin: http://127.0.0.1:5500\r\nOrigin: null\r\n"):
        async with raw_connection(client) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + origins + b"Bad Header: x\r\n\r\n")
            assert "Access-Control-Allow-Origin" not in (await read_response(reader)).headers


async def test_a_client_that_is_still_sending_gets_the_response(client: HttpClient) -> None:
    """Closing the socket while the client sends would reset the connection, and the response would be lost."""
    piece = b"x" * 65536
    for head in (LOGIN + b"Content-Length: 200000000000\r\n\r\n", CHUNKED + b"ffffffffff\r\n", LOGIN + b"X: "):
        async with raw_connection(client) as (reader, writer):
            writer.write(head)
            for _ in range(300):  # more than all buffers in between hold
                writer.write(piece)
                await writer.drain()
            answer = await read_response(reader)
            assert answer.status in (413, 431)
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_lingering_ends_for_silent_and_for_endless_clients(
    client: HttpClient, http_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, sends in (("_SILENCE_TIMEOUT_S", False), ("LINGER_TIMEOUT_S", True)):
        async with raw_connection(client) as (reader, writer):
            monkeypatch.setattr(lingering, limit, 0.3)
            writer.write(b"nonsense\r\n\r\n")
            assert (await read_response(reader)).status == 400
            assert len(http_server._lingering) == 1
            while len(http_server._lingering):
                writer.write(b"x" * sends)
                await asyncio.sleep(0.02)
            monkeypatch.undo()


async def test_a_malformed_body_after_an_early_response_gets_no_second_one(settings: Settings) -> None:
    async with running_site(settings) as (client, _), raw_connection(client) as (reader, writer):
        writer.write(
            b"POST /api/admin/videos/ HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        )
        assert b" 401 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"no chunk\r\n")
        rest = await reader.read()
        assert json.loads(rest) == {"detail": "Authentication credentials were not provided."}


async def test_a_valid_request_before_a_malformed_one_is_answered_first(client: HttpClient) -> None:
    async with raw_connection(client) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n")
        answers = (await reader.read()).split(b"HTTP/1.1 ")[1:]
        assert [int(answer[:3]) for answer in answers] == [200, 400]
        assert answers[1].endswith(b'{"detail":"Bad request."}')


async def test_what_a_client_asked_before_it_hung_up_is_not_worked_off(
    client: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with raw_connection(client) as (reader, writer):
        writer.write(b"GET /hung-up HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        await reader.readuntil(b"\r\n\r\n")
    for _ in range(100):  # other requests are answered meanwhile
        await client.get("/healthz")
    assert sum("path=/hung-up" in record.getMessage() for record in caplog.records) < 100


async def test_a_body_of_many_tiny_chunks_is_refused(client: HttpClient) -> None:
    async with raw_connection(client) as (reader, writer):
        writer.write(CHUNKED + b"1\r\n[\r\n" * 1000)
        answer = await read_response(reader)
    assert (answer.status, answer.body) == (400, {"detail": BAD})


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(b"1\r\n \r\n" * 200, id="some tiny ones"),
        pytest.param((b"100\r\n" + b" " * 256 + b"\r\n" + b"1\r\n \r\n") * 200, id="tiny ones between others"),
        pytest.param(b"00000040\r\n" + b" " * 64 + b"\r\n" + b"40\r\n" + b" " * 64 + b"\r\n", id="short ones"),
    ],
)
async def test_a_body_of_ordinary_chunks_is_taken(client: HttpClient, chunks: bytes) -> None:
    async with raw_connection(client) as (reader, writer):
        writer.write(CHUNKED.replace(b"Host: x", b"Host: x\r\nConnection: close") + chunks + b"0\r\n\r\n")
        assert (await read_response(reader)).body == {
            "email": ["This field is required."],
            "password": ["This field is required."],
        }
