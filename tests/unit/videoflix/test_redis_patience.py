"""A server is not blamed for what keeps this process busy."""

from __future__ import annotations

import asyncio
import time

import pytest

from videoflix.redis.patience import answer_within


async def _round_trips(count: int) -> str:
    """Another side of a socket that answers at once."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for _ in range(count):
        writer.write(b"x")
        await reader.readexactly(1)
    writer.close()
    server.close()
    return "answered"


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1):
        writer.write(data)
    writer.close()


async def test_a_busy_event_loop_is_no_slow_server() -> None:
    waiting = asyncio.create_task(answer_within(0.2, _round_trips(100)))
    for _ in range(5):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(0.4)  # whatever it is that keeps the loop busy
    assert await waiting == "answered"


async def test_a_slow_server_is_not_waited_for() -> None:
    never = asyncio.Event()
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        await answer_within(0.1, _wait_for(never))
    assert time.monotonic() - begun < 2


async def test_what_fails_fails_at_once() -> None:
    with pytest.raises(ZeroDivisionError):
        await answer_within(10, _fail())


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()


async def _fail() -> None:
    raise ZeroDivisionError
