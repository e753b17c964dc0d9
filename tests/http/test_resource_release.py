"""Every resource of a request is released at whichever step it fails: files, sockets, connections, uploads."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from handlers.application import Application
from handlers.media import fast_path, handler, sendfile
from handlers.server import Server
from handlers.uploads import multipart
from tests.http.test_admin_videos import form, leftovers, upload
from tests.http.test_media import add_cached_video
from tests.support.http_client import HttpClient
from tests.support.videos import VideoLibrary
from videoflix.catalogue.service import Catalogue
from videoflix.media import safe_open
from videoflix.media.service import Media
from videoflix.settings import Settings
from videoflix.upload_storage import UploadStorage

SEGMENT, LIST = "/media/hls/1/480p/0001.ts", "/media/hls/1/480p/index.m3u8"
BAD_DATES = (
    "Mon, 01 Jan 99999999999 00:00:00 GMT",
    "Mon, 01 Jan 2026 00:00:00 +99999999999",
    "Mon, 01 Jan 2026 99999999999:00:00 GMT",
    "9" * 30,
    ",",
)

FAST_PATH = (
    *((fast_path, name) for name in (
        "evaluate", "_can_send_without_blocking", "is_in_page_cache", "new_request_id", "write_access_line",
        "format_http_date",
    )),
    *((fast_path.FastPath, name) for name in ("remote_address", "response_head")),
    *((fast_path._FastResponse, name) for name in ("__init__", "_answer", "_write", "_on_sent", "_finalize")),
    *((sendfile.SendfileTransfers, name) for name in ("start", "add_blocked", "count_sent")),
    *((sendfile._Transfer, name) for name in ("__init__", "send_head", "send_more", "_finish", "_wait_writable")),
    (safe_open, "OpenFile"), (safe_open.stat, "S_ISREG"), (safe_open.OpenFile, "__init__"), (Media, "_open_file"),
)  # fmt: skip
HANDLER = (
    *((handler, name) for name in ("evaluate", "encoded_body", "_read_chunks")), (handler.os, "pread"),
    *((handler.MediaFileHandler, name) for name in (
        "_write_body", "set_header", "flush", "finish", "on_finish", "cancel_on_disconnect", "send_file",
    )),
    (safe_open, "OpenFile"), (safe_open.stat, "S_ISREG"), (safe_open.OpenFile, "__init__"), (Media, "get"),
)  # fmt: skip
UPLOAD = (
    *((UploadStorage, name) for name in ("allocate_path", "require_space", "lock", "sync_to_disk")),
    *((Catalogue, name) for name in ("validate", "import_upload")),
    *((multipart.MultipartForm, name) for name in (
        "__init__", "feed", "_open_file", "_on_part_data", "_on_end", "_on_headers_finished",
    )),
)  # fmt: skip


def open_files(settings: Settings) -> list[str]:
    """Return the files below the media folder that this process has open."""
    targets = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            targets.append(str(link.readlink()))
    return sorted(path for path in targets if path.startswith(str(settings.media_root)))


@contextmanager
def failing(owner: Any, name: str) -> Iterator[list[str]]:
    """Have every call of this function raise; yield the list of its calls."""
    called: list[str] = []

    def fail(*_: Any, **__: Any) -> Any:
        called.append(name)
        raise RuntimeError(f"injected into {name}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, fail)
        yield called


async def request_repeatedly(ask: Callable[[], Awaitable[object]]) -> None:
    """Send a request several times. It may fail, but must end."""
    for _ in range(3):
        async with asyncio.timeout(20):
            with suppress(Exception):
                await ask()


async def assert_nothing_held(settings: Settings, app: Application, server: Server) -> None:
    gc.collect()
    async with asyncio.timeout(20):
        while (
            open_files(settings) or app.connections._active or app.fast_path.transfers._blocked or leftovers(settings)
        ):
            await asyncio.sleep(0.02)
    connections = app.connections
    assert not connections._bodies
    assert len(connections._idle) == len(server._connections)
    assert not set(connections._response_timeouts) - set(connections._active.values())


@pytest.mark.parametrize(("owner", "name"), FAST_PATH, ids=lambda it: it if isinstance(it, str) else None)
async def test_the_fast_path_releases_everything(
    admin: HttpClient,
    library: VideoLibrary,
    settings: Settings,
    app: Application,
    http_server: Server,
    owner: Any,
    name: str,
) -> None:
    await add_cached_video(library, admin)
    with failing(owner, name) as called:
        await request_repeatedly(lambda: admin.get(SEGMENT))
        await request_repeatedly(lambda: admin.get(LIST))
        await request_repeatedly(lambda: admin.fetch("HEAD", SEGMENT))
    assert called or name in ("_wait_writable", "add_blocked", "S_ISREG", "_finish")
    await assert_nothing_held(settings, app, http_server)
    assert (await admin.get(SEGMENT)).status == 200


@pytest.mark.parametrize(("owner", "name"), HANDLER, ids=lambda it: it if isinstance(it, str) else None)
async def test_the_media_handler_releases_everything(
    admin: HttpClient,
    library: VideoLibrary,
    settings: Settings,
    app: Application,
    http_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
) -> None:
    monkeypatch.setattr(fast_path, "can_sendfile", lambda _: False)
    await add_cached_video(library, admin)
    with failing(owner, name) as called:
        await request_repeatedly(lambda: admin.get(SEGMENT))
        await request_repeatedly(lambda: admin.get(LIST))
    assert called
    await assert_nothing_held(settings, app, http_server)
    assert (await admin.get(SEGMENT)).status == 200


@pytest.mark.parametrize(("owner", "name"), UPLOAD, ids=lambda it: it if isinstance(it, str) else None)
async def test_an_upload_releases_everything(
    admin: HttpClient, settings: Settings, app: Application, http_server: Server, owner: Any, name: str
) -> None:
    with failing(owner, name) as called:
        await request_repeatedly(lambda: upload(admin, form(b"x" * 300_000, title="t")))
    assert called
    await assert_nothing_held(settings, app, http_server)
    assert (await upload(admin, form(b"video", title="t"))).status == 201


@pytest.mark.parametrize("condition", ["If_Modified_Since", "If_Unmodified_Since", "If_Range"])
async def test_an_invalid_date_leaks_no_descriptor(
    serving_path: str, admin: HttpClient, library: VideoLibrary, settings: Settings, condition: str
) -> None:
    await add_cached_video(library, admin)
    for date in BAD_DATES:
        answer = await admin.get(SEGMENT, **{condition: date, "Range": "bytes=0-9"})
        assert answer.status == (200 if condition == "If_Range" else 206), date
    assert open_files(settings) == []


async def test_a_client_that_leaves_after_its_upload_leaves_a_video(
    admin: HttpClient,
    settings: Settings,
    app: Application,
    http_server_port: tuple[object, int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = form(b"video", title="t")
    head = (
        f"POST /api/admin/videos/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin.cookies['access_token']}\r\n"
        f"Content-Type: multipart/form-data; boundary=----film\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for _ in range(10):
        _, writer = await asyncio.open_connection("127.0.0.1", http_server_port[1])
        writer.write(head.encode() + body)
        await writer.drain()
        writer.transport.abort()
    async with asyncio.timeout(20):  # a reset may overtake a body in the kernel: not all become videos
        while len(app.connections._active) or leftovers(settings) or not (await admin.get("/api/admin/videos/")).json:
            await asyncio.sleep(0.05)
    assert not [record for record in caplog.records if record.getMessage().startswith(("unhandled", "request_ab"))]


def test_an_unreferenced_file_is_closed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    file = safe_open.open_below(str(tmp_path), "file")
    descriptor = file.descriptor
    del file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_file_whose_status_cannot_be_read_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x")
    opened: list[int] = []

    def fail(descriptor: int) -> os.stat_result:
        opened.append(descriptor)
        raise OSError("of a network share")

    with monkeypatch.context() as patch:
        patch.setattr(safe_open.os, "fstat", fail)
        with pytest.raises(OSError, match="of a network share"):
            safe_open.open_below(str(tmp_path), "file")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
