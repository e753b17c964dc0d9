"""A web process that is told to stop answers what it was asked, takes nothing new and leaves nothing undone."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from tests.support.videos import make_video
from tests.support.waiting import block_until
from tests.support.web_processes import is_answering, running_web_processes
from videoflix.bootstrap.clients import open_clients
from videoflix.bootstrap.services import open_services
from videoflix.settings import Settings
from videoflix.stores.videos import VideoStore
from videoflix.stores.viewing import ProgressStore

_FORM = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="My_film.mp4"\r\n\r\n' + b"x" * 100_000,
    b"x" * 100_000 + b"\r\n--b--\r\n",
)


class Client:
    """One connection."""

    def __init__(self, port: int, token: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._token = token

    def ask(self, line: str, *headers: str) -> None:
        given = ("Host: x", f"Authorization: Bearer {self._token}", *headers)
        self.send("\r\n".join([f"{line} HTTP/1.1", *given, "", ""]).encode())

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        with self._socket:
            return b"".join(iter(lambda: self._socket.recv(65536), b""))

    def answer(self) -> bytes:
        """What has come."""
        return self._socket.recv(65536)

    def upload(self) -> None:
        """The first half of a film."""
        length = f"Content-Length: {sum(map(len, _FORM))}"
        self.ask("POST /api/admin/videos/", "Content-Type: multipart/form-data; boundary=b", length)
        self.send(_FORM[0])


def growing(settings: Settings) -> list[Path]:
    return [file for file in (settings.media_root / "scratch" / "uploads").glob("*") if file.stat().st_size >= 100_000]


async def test_a_stopping_process_ends_what_it_began(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOP_SECONDS", "1")
    monkeypatch.setenv("MIN_FREE_GIB", "0")
    async with open_services(settings) as services:
        user = (await services.accounts.make_admin("admin@videoflix.example", "correct horse battery")).id
        token = (await services.accounts.log_in("admin@videoflix.example", "correct horse battery")).tokens.access_token
    async with open_clients(settings) as clients:
        await VideoStore(clients.database).add(make_video(7))
    with running_web_processes(settings) as (process, url):
        block_until(lambda: is_answering(url), 30)
        port = int(url.split(":")[2].split("/")[0])
        idle, slow, stuck = (Client(port, token) for _ in range(3))
        idle.ask("PUT /api/video/7/progress/", "Content-Length: 16")
        idle.send(b'{"position": 42}')
        assert b" 200 " in idle.answer()
        for client in (slow, stuck):
            client.upload()
        block_until(lambda: len(growing(settings)) == 2, 10)
        os.kill(process.pid, signal.SIGTERM)
        assert idle.rest() == b""  # asks nothing, so it is closed at once
        with pytest.raises(ConnectionRefusedError):
            Client(port, token)
        slow.send(_FORM[1])
        head, _, body = slow.rest().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 201 "), head
        assert b"Connection: close" in head
        assert json.loads(body)["title"] == "My film"
        assert stuck.rest() == b""  # cut off in the end
        block_until(lambda: process.status() == psutil.STATUS_ZOMBIE, 10)
    async with open_clients(settings) as clients:
        [written] = await ProgressStore(clients.database).list_unfinished(user)
        assert (written.video_id, written.position) == (7, 42.0)
    assert list((settings.media_root / "scratch" / "uploads").iterdir()) == []
    assert len(list((settings.media_root / "videos").iterdir())) == 1
