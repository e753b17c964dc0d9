"""Connections that ask nothing, or never end asking, are closed; others are kept."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

import pytest

from handlers import connections
from tests.tools import Browser
from videoflix.composition import web
from videoflix.settings import Settings

ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_PATIENCE", 0.4)
    monkeypatch.setattr(connections, "_LOOK", 0.05)


async def test_a_connection_is_closed_when_no_request_comes(
    browser: Browser, http_server_port: tuple[object, int]
) -> None:
    for sent in (b"", ASK, ASK + b"GET /healthz HT"):
        reader, writer = await asyncio.open_connection("127.0.0.1", http_server_port[1])
        writer.write(sent)
        async with asyncio.timeout(10):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200") == bool(sent)
        writer.close()


async def test_a_connection_that_goes_on_asking_is_kept(browser: Browser, http_server_port: tuple[object, int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", http_server_port[1])
    loop = asyncio.get_running_loop()
    begin = loop.time()
    while loop.time() - begin < 1.0:
        writer.write(ASK)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(15) == b'{"status":"ok"}'
        await asyncio.sleep(0.05)
    writer.close()


def test_a_slow_viewer_holds_little_of_a_film_in_the_kernel_and_a_fast_one_enough(settings: Settings) -> None:
    sockets = web.listen(settings.model_copy(update={"port": 0}))
    with ExitStack() as stack:
        for bound in sockets:
            stack.enter_context(bound)
        stack.enter_context(socket.create_connection(sockets[0].getsockname()))
        sockets[0].settimeout(5)
        served = stack.enter_context(sockets[0].accept()[0])
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == web._UNSENT
        if web._may_have(web._SEND_BUFFER):
            assert served.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= web._SEND_BUFFER
        assert not web._may_have(2**30)  # more than any system allows, so it is left to it
