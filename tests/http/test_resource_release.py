"""Whatever a request holds is let go, at whichever step it fails: files, sockets, places, uploads."""

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
from tests.http.test_media import put
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
    """What this process has open below the media folder."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(link.readlink()))
    return sorted(path for path in found if path.startswith(str(settings.media_root)))


@contextmanager
def failing(owner: Any, name: str) -> Iterator[list[str]]:
    """Every call raises; yields what was called."""
    called: list[str] = []

    def fail(*_: Any, **__: Any) -> Any:
        called.append(name)
        raise RuntimeError(f"injected into {name}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, fail)
        yield called


async def asked(ask: Callable[[], Awaitable[object]]) -> None:
    """Some times; an answer is no matter, but there is an end."""
    for _ in range(3):
        async with asyncio.timeout(20):
            with suppress(Exception):
                await ask()


async def nothing_held(settings: Settings, app: Application, server: Server) -> None:
    gc.collect()
    async with asyncio.timeout(20):
        while (
            open_files(settings) or app.connections._active or app.fast_path.transfers._blocked or leftovers(settings)
        ):
            await asyncio.sleep(0.02)
    kept = app.connections
    assert not kept._bodies
    assert len(kept._idle) == len(server._connections)
    assert not set(kept._response_timeouts) - set(kept._active.values())


@pytest.mark.parametrize(("owner", "name"), FAST_PATH, ids=lambda it: it if isinstance(it, str) else None)
async def test_the_fast_lane_lets_go_of_everything(
    admin: HttpClient,
    library: VideoLibrary,
    settings: Settings,
    app: Application,
    http_server: Server,
    owner: Any,
    name: str,
) -> None:
    await put(library, admin)
    with failing(owner, name) as called:
        await asked(lambda: admin.get(SEGMENT))
        await asked(lambda: admin.get(LIST))
        await asked(lambda: admin.fetch("HEAD", SEGMENT))
    assert called or name in ("_wait_writable", "add_blocked", "S_ISREG", "_finish")
    await nothing_held(settings, app, http_server)
    assert (await admin.get(SEGMENT)).status == 200


@pytest.mark.parametrize(("owner", "name"), HANDLER, ids=lambda it: it if isinstance(it, str) else None)
async def test_the_media_handler_lets_go_of_everything(
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
    await put(library, admin)
    with failing(owner, name) as called:
        await asked(lambda: admin.get(SEGMENT))
        await asked(lambda: admin.get(LIST))
    assert called
    await nothing_held(settings, app, http_server)
    assert (await admin.get(SEGMENT)).status == 200


@pytest.mark.parametrize(("owner", "name"), UPLOAD, ids=lambda it: it if isinstance(it, str) else None)
async def test_an_upload_lets_go_of_everything(
    admin: HttpClient, settings: Settings, app: Application, http_server: Server, owner: Any, name: str
) -> None:
    with failing(owner, name) as called:
        await asked(lambda: upload(admin, form(b"x" * 300_000, title="t")))
    assert called
    await nothing_held(settings, app, http_server)
    assert (await upload(admin, form(b"film", title="t"))).status == 201


@pytest.mark.parametrize("condition", ["If_Modified_Since", "If_Unmodified_Since", "If_Range"])
async def test_a_date_that_is_none_costs_no_descriptor(
    serving_path: str, admin: HttpClient, library: VideoLibrary, settings: Settings, condition: str
) -> None:
    await put(library, admin)
    for date in BAD_DATES:
        answer = await admin.get(SEGMENT, **{condition: date, "Range": "bytes=0-9"})
        assert answer.status == (200 if condition == "If_Range" else 206), date
    assert open_files(settings) == []


async def test_a_client_that_goes_at_the_end_of_its_upload_leaves_a_film(
    admin: HttpClient,
    settings: Settings,
    app: Application,
    http_server_port: tuple[object, int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = form(b"film", title="t")
    head = (
        f"POST /api/admin/videos/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin.cookies['access_token']}\r\n"
        f"Content-Type: multipart/form-data; boundary=----film\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for _ in range(10):
        _, writer = await asyncio.open_connection("127.0.0.1", http_server_port[1])
        writer.write(head.encode() + body)
        await writer.drain()
        writer.transport.abort()
    async with asyncio.timeout(20):  # a reset may overtake a body in the kernel: some, then, are no films
        while len(app.connections._active) or leftovers(settings) or not (await admin.get("/api/admin/videos/")).json:
            await asyncio.sleep(0.05)
    assert not [record for record in caplog.records if record.getMessage().startswith(("unhandled", "request_ab"))]


def test_a_file_that_nobody_closed_is_closed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    file = safe_open.open_below(str(tmp_path), "file")
    descriptor = file.descriptor
    del file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_file_that_cannot_be_looked_at_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x")
    looked_at: list[int] = []

    def fail(descriptor: int) -> os.stat_result:
        looked_at.append(descriptor)
        raise OSError("of a network share")

    with monkeypatch.context() as patch:
        patch.setattr(safe_open.os, "fstat", fail)
        with pytest.raises(OSError, match="of a network share"):
            safe_open.open_below(str(tmp_path), "file")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(looked_at[0])
