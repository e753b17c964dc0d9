"""Idle connections, slow bodies and clients that read no response are closed; others are kept."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPConnection

from handlers.http import connection_limits, connections
from handlers.server import Server
from tests.support.http_client import HttpClient
from tests.support.waiting import wait_until
from videoflix.bootstrap import web
from videoflix.settings import Settings

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /api/login/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
CHUNKED = b"POST /api/login/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def _short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_IDLE_TIMEOUT_S", 0.4)
    monkeypatch.setattr(connections, "_CHECK_INTERVAL_S", 0.05)


async def test_an_idle_connection_is_closed(client: HttpClient, http_server_port: tuple[object, int]) -> None:
    for sent in (b"", GET, GET + b"GET /healthz HT"):
        reader, writer = await asyncio.open_connection("127.0.0.1", http_server_port[1])
        writer.write(sent)
        async with asyncio.timeout(10):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200") == bool(sent)
        writer.close()


async def test_a_body_below_the_minimum_rate_is_closed(
    client: HttpClient, http_server_port: tuple[object, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_MIN_BODY_BYTES_PER_TIMEOUT", 50)

    async def is_dropped(head: bytes, size: int) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", http_server_port[1])
        writer.write(head)
        for _ in range(14):
            writer.write(b"x" * size)
            await asyncio.sleep(0.05)
        dropped = reader.at_eof()
        writer.close()
        return dropped

    trickles = is_dropped(POST, 1), is_dropped(CHUNKED, 1), is_dropped(POST, 40)
    assert await asyncio.gather(*trickles) == [True, True, False]


async def test_a_client_that_reads_no_response_is_dropped(
    client: HttpClient, http_server: Server, http_server_port: tuple[object, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WRITE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(connections, "_IDLE_TIMEOUT_S", 60)
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        peer.connect(("127.0.0.1", http_server_port[1]))
        await wait_until(lambda: len(http_server._connections) == 1)
        (server_conn,) = http_server._connections
        server_conn.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 300)
        await wait_until(lambda: not http_server._connections)


async def test_a_client_that_reads_its_response_slowly_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[HTTPConnection] = []
    monkeypatch.setattr(connections, "_close", closed.append)
    monkeypatch.setattr(connections, "WRITE_TIMEOUT_S", -1)
    tracked, slow = connections.Connections(), HTTP1Connection.__new__(HTTP1Connection)
    slow.stream = SimpleNamespace(writing=lambda: True, _total_write_done_index=0)
    tracked.on_headers("slow", slow, has_body=False)
    for slow.stream._total_write_done_index in range(3):
        tracked._close_expired()
    assert closed == []
    tracked._close_expired()
    assert closed == [slow]
    tracked.on_close("slow")
    await wait_until(lambda: tracked._timer is None)


async def test_a_slow_disk_does_not_count_against_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[HTTPConnection] = []
    monkeypatch.setattr(connections, "_close", closed.append)
    monkeypatch.setattr(connections, "_IDLE_TIMEOUT_S", -1)
    tracked, upload, trickle = connections.Connections(), HTTPConnection(), HTTPConnection()
    tracked.on_headers("upload", upload, has_body=True)
    tracked.on_headers("trickle", trickle, has_body=True)
    written = asyncio.Event()
    piece = asyncio.create_task(tracked.track_consumer("upload", written.wait()))
    await asyncio.sleep(0)
    tracked._close_expired()
    assert closed == [trickle]
    written.set()
    await piece
    tracked._close_expired()
    assert closed == [trickle, upload, trickle]
    for server_conn in ("upload", "trickle"):
        tracked.on_close(server_conn)
    await wait_until(lambda: tracked._timer is None)


async def test_at_the_limit_the_longest_idle_connection_is_closed(
    client: HttpClient,
    http_server: Server,
    http_server_port: tuple[object, int],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    http_server._max_connections = 3
    monkeypatch.setattr(connections, "_IDLE_TIMEOUT_S", 60)
    port = http_server_port[1]
    tracked = http_server._application.connections
    clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    clients[1][1].write(POST)  # without its body
    await wait_until(lambda: (len(tracked._idle), len(tracked._bodies)) == (2, 1))
    for bodies in (2, 3):  # instead of the first and of the third
        clients.append(await asyncio.open_connection("127.0.0.1", port))
        clients[-1][1].write(POST)
        await wait_until(lambda bodies=bodies: len(tracked._bodies) == bodies)
    clients.append(await asyncio.open_connection("127.0.0.1", port))
    monkeypatch.setattr(connections, "_CONTENDED_BODY_GRACE_S", 0)
    clients.append(await asyncio.open_connection("127.0.0.1", port))  # instead of the oldest slow body
    for closed in (0, 1, 2, 5):
        assert await clients[closed][0].read() == b""
    clients[3][1].write(b"x" * 1000)
    assert b" 400 " in await clients[3][0].readline()
    assert sum(record.message == "connections_exhausted limit=3" for record in caplog.records) == 1
    for _, writer in clients:
        writer.close()


def test_the_connection_limit_leaves_descriptors_for_viewers(monkeypatch: pytest.MonkeyPatch) -> None:
    for descriptors, most in ((64, 1), (1024, 308), (1_048_576, 10_000)):
        monkeypatch.setattr(connection_limits.resource, "getrlimit", lambda _, limit=descriptors: (limit, limit))
        assert connection_limits.max_connections() == most


async def test_a_connection_that_sends_requests_is_kept(
    client: HttpClient, http_server_port: tuple[object, int]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", http_server_port[1])
    loop = asyncio.get_running_loop()
    begin = loop.time()
    while loop.time() - begin < 0.8:
        writer.write(GET)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(15) == b'{"status":"ok"}'
        await asyncio.sleep(0.05)
    writer.close()


def test_socket_buffers_are_small_for_slow_viewers_and_large_enough(settings: Settings) -> None:
    sockets = web.listen(settings.model_copy(update={"port": 0}))
    with ExitStack() as stack:
        for bound in sockets:
            stack.enter_context(bound)
        stack.enter_context(socket.create_connection(sockets[0].getsockname()))
        sockets[0].settimeout(5)
        served = stack.enter_context(sockets[0].accept()[0])
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == web._MAX_UNSENT_BYTES
        if web._can_set_send_buffer(web._SEND_BUFFER_BYTES):
            assert served.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= web._SEND_BUFFER_BYTES
        assert not web._can_set_send_buffer(2**30)  # more than any system allows
