"""Delivery over real sockets: segments that are not encoded yet, slow viewers, viewers that disconnect."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis
from tornado.httputil import HTTPServerRequest

from handlers.media import fast_path, handler, sendfile
from tests.support.http_client import HttpClient
from tests.support.videos import SEGMENT_BYTES, VideoLibrary
from tests.support.waiting import wait_until
from transcode.ledger import Lease, Ledger, Queue
from transcode.ledger.states import State
from transcode.waiter_limit import WaiterLimit
from videoflix.services import Services
from videoflix.settings import Settings

LATE = "/media/hls/1/480p/0002.ts"
BIG = 8 * 2**20  # bytes, more than the socket buffers on loopback


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    """Yield the ledger of the engine."""
    client = Redis.from_url(settings.redis_url.get_secret_value())
    yield Ledger(client)
    await client.aclose()


async def count_queued_segments(ledger: Ledger) -> int:
    """Return how many segment tasks are queued."""
    job = await ledger.views.job(1)
    return len([task for task in job.tasks if task.kind == "segment" and task.state is State.QUEUED]) if job else 0


def request_bytes(client: HttpClient, path: str, more: str = "") -> bytes:
    token = client.cookies["access_token"]
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: access_token={token}\r\n{more}\r\n".encode()


def connect(port: int, receive: int = 4096) -> socket.socket:
    """Return a connection with a small receive buffer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    client.connect(("127.0.0.1", port))
    return client


async def add_incomplete_video(library: VideoLibrary, services: Services) -> Path:
    """Add a video whose last segment is missing. Return its folder."""
    folder = await library.add(is_done=False)
    (folder / "480p" / "0002.ts").rename(folder / "late")
    await services.engine.start(1)
    return folder


async def test_queueing_time_counts_towards_the_segment_timeout(
    admin: HttpClient, library: VideoLibrary, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Players give up after 20 seconds, including queueing time."""
    await add_incomplete_video(library, services)
    monkeypatch.setattr(HTTPServerRequest, "request_time", lambda _: 17.9)
    async with asyncio.timeout(10):
        answer = await admin.get(LATE)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


async def test_a_segment_that_cannot_be_made_is_503(
    admin: HttpClient, library: VideoLibrary, services: Services, settings: Settings
) -> None:
    await add_incomplete_video(library, services)
    async with open_ledger(settings) as ledger, asyncio.timeout(10):
        request = asyncio.ensure_future(admin.get(LATE))
        while not isinstance(lease := await ledger.claim([Queue.ON_DEMAND], "worker"), Lease):
            await asyncio.sleep(0.01)
        await ledger.fail(lease, "The frame is broken.", permanent=True)
        answer = await request
    assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
    assert answer.json == {"detail": "This part of the video cannot be made at the moment."}


async def test_many_requests_for_a_segment_share_one_encode(
    admin: HttpClient, library: VideoLibrary, services: Services, settings: Settings
) -> None:
    folder = await add_incomplete_video(library, services)
    async with open_ledger(settings) as ledger:
        waiting = [asyncio.ensure_future(admin.get(LATE)) for _ in range(6)]
        part = asyncio.ensure_future(admin.get(LATE, Range="bytes=1-9"))
        head = asyncio.ensure_future(admin.fetch("HEAD", LATE))
        while not await count_queued_segments(ledger):
            await asyncio.sleep(0.01)
        assert (await admin.get("/media/hls/1/480p/0001.ts")).status == 200  # other segments are not delayed
        assert await count_queued_segments(ledger) == 1
        content = (folder / "late").read_bytes()
        (folder / "late").rename(folder / "480p" / "0002.ts")
        assert {(answer.status, answer.body) for answer in await asyncio.gather(*waiting)} == {(200, content)}
        assert ((await part).status, (await part).body) == (206, content[1:10])
        assert ((await head).headers["Content-Length"], (await head).body) == (str(len(content)), b"")
        while await count_queued_segments(ledger):
            await asyncio.sleep(0.01)


async def test_the_last_client_that_disconnects_cancels_the_encode(
    admin: HttpClient,
    library: VideoLibrary,
    services: Services,
    settings: Settings,
    http_server_port: tuple[object, int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await add_incomplete_video(library, services)
    async with open_ledger(settings) as ledger:
        clients = [connect(http_server_port[1]) for _ in range(3)]
        for client in clients:
            client.sendall(request_bytes(admin, LATE))
        while not await count_queued_segments(ledger):
            await asyncio.sleep(0.01)
        for client in clients[1:]:
            client.close()
        await asyncio.sleep(0.3)
        assert await count_queued_segments(ledger) == 1
        clients[0].close()
        async with asyncio.timeout(10):
            while await count_queued_segments(ledger):
                await asyncio.sleep(0.01)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def test_a_late_segment_is_503_with_retry_after(
    admin: HttpClient, library: VideoLibrary, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_incomplete_video(library, services)
    monkeypatch.setattr(services.engine, "_waiter_limit", WaiterLimit(0))
    answer = await admin.get(LATE, Origin="http://localhost:5500")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json == {"detail": "This part of the video is not ready yet."}
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:5500"


async def add_large_segment(library: VideoLibrary, admin: HttpClient) -> bytes:
    """Add a video with a segment that exceeds all socket buffers. Return its content."""
    folder = await library.add()
    content = os.urandom(BIG)
    (folder / "480p" / "0000.ts").write_bytes(content)
    await admin.get("/media/hls/1/master.m3u8")
    return content


async def test_slow_viewers_get_every_byte_and_take_no_memory(
    serving_path: str, admin: HttpClient, library: VideoLibrary, http_server_port: tuple[object, int]
) -> None:
    content = await add_large_segment(library, admin)
    before = psutil.Process().memory_info().rss
    readers = []
    for _ in range(20):
        reader, writer = await asyncio.open_connection(sock=connect(http_server_port[1]), limit=4096)
        writer.write(request_bytes(admin, "/media/hls/1/480p/0000.ts"))
        readers.append((reader, writer))
    for reader, _ in readers:
        await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.2)
    assert psutil.Process().memory_info().rss - before < 20 * BIG / 4
    reader, writer = readers[0]
    assert await reader.readexactly(BIG) == content
    for _, writer in readers:
        writer.transport.abort()


def count_descriptors() -> int:
    return psutil.Process().num_fds()


async def test_viewers_that_disconnect_leave_no_descriptor_and_no_log(
    serving_path: str,
    admin: HttpClient,
    library: VideoLibrary,
    http_server_port: tuple[object, int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await add_large_segment(library, admin)
    await admin.get("/media/hls/1/480p/0000.ts")
    before = count_descriptors()
    clients = [connect(http_server_port[1]) for _ in range(10)]
    for client in clients:
        client.sendall(request_bytes(admin, "/media/hls/1/480p/0000.ts"))
    for client in clients:
        assert await asyncio.to_thread(client.recv, 1)  # the transfer has begun
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset the connection
        client.close()
    await wait_until(lambda: count_descriptors() <= before)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
    assert (await admin.get("/media/hls/1/480p/0001.ts")).status == 200


async def test_a_viewer_that_reads_nothing_is_dropped(
    admin: HttpClient,
    library: VideoLibrary,
    http_server_port: tuple[object, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await add_large_segment(library, admin)
    monkeypatch.setattr(sendfile, "_CHECK_INTERVAL_S", 0.05)
    monkeypatch.setattr(sendfile, "WRITE_TIMEOUT_S", 0.2)
    before = count_descriptors()
    with connect(http_server_port[1]) as client:
        client.sendall(request_bytes(admin, "/media/hls/1/480p/0000.ts"))
        await wait_until(lambda: count_descriptors() > before + 2)
        await wait_until(lambda: count_descriptors() <= before + 1)  # the client's own remains


async def test_a_truncated_file_closes_the_connection(
    serving_path: str, admin: HttpClient, library: VideoLibrary, http_server_port: tuple[object, int]
) -> None:
    """A part must not look like the whole file."""
    await add_large_segment(library, admin)
    reader, writer = await asyncio.open_connection(sock=connect(http_server_port[1]), limit=4096)
    writer.write(request_bytes(admin, "/media/hls/1/480p/0000.ts"))
    await reader.readuntil(b"\r\n\r\n")
    os.truncate(library.root / "hls" / "1" / "480p" / "0000.ts", BIG // 2)
    assert len(await reader.read(-1)) < BIG
    writer.close()


async def test_a_segment_that_is_replaced_is_sent_to_its_end(
    serving_path: str, admin: HttpClient, library: VideoLibrary, http_server_port: tuple[object, int]
) -> None:
    content = await add_large_segment(library, admin)
    reader, writer = await asyncio.open_connection(sock=connect(http_server_port[1]), limit=4096)
    writer.write(request_bytes(admin, "/media/hls/1/480p/0000.ts"))
    await reader.readuntil(b"\r\n\r\n")
    folder = library.root / "hls" / "1"
    (folder / "new").write_bytes(b"x" * SEGMENT_BYTES)
    (folder / "new").rename(folder / "480p" / "0000.ts")
    assert await reader.readexactly(BIG) == content
    writer.close()


async def test_pipelined_requests_are_answered_in_order(
    serving_path: str, admin: HttpClient, library: VideoLibrary, http_server_port: tuple[object, int]
) -> None:
    content = await add_large_segment(library, admin)
    reader, writer = await asyncio.open_connection("127.0.0.1", http_server_port[1], limit=2**16)
    writer.write(
        request_bytes(admin, "/media/hls/1/480p/0000.ts") + request_bytes(admin, "/media/hls/1/master.m3u8") * 2
    )
    for length in (BIG, None, None):
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(size)
        assert body == content if length else body.startswith(b"#EXTM3U")
    writer.close()


async def test_a_segment_on_disk_is_read_by_the_handler_then_cached(
    admin: HttpClient, library: VideoLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler reads it on a thread; the next request gets it from the page cache."""
    content = await add_large_segment(library, admin)
    file = os.open(library.root / "hls" / "1" / "480p" / "0000.ts", os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    if sendfile.is_in_page_cache(file, 0, BIG):
        pytest.skip("this file system cannot drop pages from its cache")
    assert (await admin.get("/media/hls/1/480p/0000.ts")).body == content
    assert sendfile.is_in_page_cache(file, 0, BIG)
    os.posix_fadvise(file, BIG // 4, BIG // 2, os.POSIX_FADV_DONTNEED)
    assert not sendfile.is_in_page_cache(file, 0, BIG)  # both ends are cached
    assert (await admin.get("/media/hls/1/480p/0000.ts")).body == content
    os.close(file)
    monkeypatch.delattr(handler.MediaHandler, "get")
    assert (await admin.get("/media/hls/1/480p/0000.ts")).body == content


async def test_the_fast_path_leaves_files_on_disk_to_the_handler(
    admin: HttpClient, library: VideoLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_large_segment(library, admin)
    monkeypatch.setattr(fast_path, "is_in_page_cache", lambda *_: False)
    monkeypatch.delattr(handler.MediaHandler, "get")
    assert (await admin.get("/media/hls/1/480p/0000.ts")).status == 405
