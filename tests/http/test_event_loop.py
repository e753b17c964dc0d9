"""Nothing waits for a disk on the event loop, shown with a disk that takes seconds for every call."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from handlers.application import Application
from handlers.uploads import multipart
from tests.http.test_admin_videos import form, leftovers, upload
from tests.http.test_malformed_requests import raw_connection
from tests.support.http_client import HttpClient
from tests.support.loop_watch import watched_loop
from videoflix.settings import Settings
from videoflix.upload_storage import UploadStorage

SLOW_S, LIMIT_S = 3.0, 2.0  # far apart, in case the machine is busy


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> list[str]:
    """Have each call to the disk for an upload take seconds. Return the list of these calls."""
    calls: list[str] = []

    def slow_down(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def slow(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            time.sleep(SLOW_S)
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, slow)

    for owner, name in (
        (Path, "unlink"),
        (os, "fsync"),
        (multipart.MultipartForm, "close"),
        (multipart, "begin_write_back"),
        (UploadStorage, "allocate_path"),
    ):
        slow_down(owner, name)
    return calls


async def test_a_broken_off_upload_does_not_hold_the_loop(
    admin: HttpClient, settings: Settings, app: Application, slow_disk: list[str]
) -> None:
    head = (
        f"POST /api/admin/videos/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin.cookies['access_token']}\r\n"
        "Content-Type: multipart/form-data; boundary=----film\r\nContent-Length: 90000000\r\n\r\n"
    )
    with watched_loop(LIMIT_S):
        async with raw_connection(admin) as (_, writer):
            writer.write(head.encode() + form(b"x" * 300_000)[:200_000])
            while not leftovers(settings):
                await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            while leftovers(settings) or app.connections._active or slow_disk.count("unlink") < 2:
                await asyncio.sleep(0.05)
    assert {"unlink", "close", "allocate_path"} <= set(slow_disk)


async def test_uploads_do_not_hold_the_loop(admin: HttpClient, settings: Settings, slow_disk: list[str]) -> None:
    with watched_loop(LIMIT_S):
        assert (await upload(admin, form(b"x" * 300_000, title="t"))).status == 201
        assert (await upload(admin, form(b"x" * 300_000, title="<b>"))).status == 400
    assert {"fsync", "unlink", "close"} <= set(slow_disk)


async def hold_loop() -> None:
    with watched_loop(0.05):
        asyncio.get_running_loop().call_soon(time.sleep, 0.1)
        await asyncio.sleep(0.01)


@pytest.mark.blocks_loop
async def test_the_watch_notices_a_blocked_loop() -> None:
    with pytest.raises(AssertionError, match="the loop was held"):
        await hold_loop()
