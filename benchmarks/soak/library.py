"""Admins who put films in and take them away, and people who watch them."""

from __future__ import annotations

import asyncio
import re
import sys
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

from benchmarks.soak.asking import Asker
from benchmarks.soak.films import Kind
from benchmarks.soak.record import Promise, Record
from benchmarks.soak.site import Site
from tests.support.videoflix_process import clean_environment
from transcode.waiting import wait_for_event

_MOST = 20  # films at once: what comes in after that is deleted first


class Admin:
    """Signed in for the whole time."""

    def __init__(self, site: Site, record: Record, kinds: list[Kind], random: Random, token: str) -> None:
        self._site = site
        self._record = record
        self._kinds = kinds
        self._random = random
        self.token = token
        self._asker = Asker(site.up.url, record)

    async def run(self, until: asyncio.Event) -> None:
        """One move after another."""
        moves: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self._upload, 6), (self._break_off, 2), (self._import, 1), (self._delete, 3), (self._cancel, 1),
            (self._retry, 2), (self._rename, 1), (self._look, 1),
        ]  # fmt: skip
        while not until.is_set():
            move = self._random.choices([move for move, _ in moves], [weight for _, weight in moves])[0]
            await (self._delete() if len(self._record.there()) > _MOST else move())
            await wait_for_event(until, self._random.uniform(0, 2.5))

    async def _upload(self) -> None:
        kind, title = self._new()
        body, content_type = form(kind, title)
        self._record.perhaps[title] = kind
        answer = await self._asker.ask("POST", "/api/admin/videos/", body, token=self.token, kind=content_type)
        self._record.count(f"uploads answered {answer.status}")
        if answer.status == 201:
            del self._record.perhaps[title]
            self._record.films[answer.json["id"]] = Promise(answer.json["id"], kind, title)
            self._record.tell(f"film {answer.json['id']} {kind.name}")

    async def _break_off(self) -> None:
        """Half of it, then the client is gone."""
        kind, title = self._new()
        body, content_type = form(kind, title)
        head = (
            f"POST /api/admin/videos/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        part = self._random.uniform(0, 1)
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self._site.up.port)
            writer.write(head + body[: int(len(body) * part)])
            with suppress(TimeoutError):
                await asyncio.wait_for(writer.drain(), 2)
            await asyncio.sleep(self._random.uniform(0, 1))
            writer.transport.abort()
        self._record.count("uploads broken off")

    async def _import(self) -> None:
        """By the command line; some are killed on the way."""
        kind, title = self._new()
        self._record.perhaps[title] = kind
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "videoflix", "import", str(kind.path), "--title", title,
            cwd=self._site.folder, env=clean_environment(),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        talking = asyncio.create_task(command.communicate())
        if self._random.random() < 0.4:
            await asyncio.wait({talking}, timeout=self._random.uniform(1, 8))
            with suppress(ProcessLookupError):
                command.kill()
        said, _ = await talking
        self._record.count(f"imports ended {command.returncode}")
        self._record.require(b"Traceback" not in said, f"import: {said.decode()}")
        if command.returncode == 0:
            self._record.require(not kind.sentence, f"import took in {kind.name}")
            self._record.imported[title] = self._record.perhaps.pop(title)

    async def _delete(self) -> None:
        if not (there := self._record.there()):
            return
        film = self._random.choice(there)
        film.gone = None
        await self.delete(film)

    async def delete(self, film: Promise) -> int:
        """Whoever got no answer asks again, later: then 404 is as good."""
        answer = await self._asker.ask("DELETE", f"/api/admin/videos/{film.id}/", token=self.token)
        self._record.count(f"deletions answered {answer.status}")
        if answer.status in (200, 404):
            film.gone = True
            self._record.tell(f"film {film.id} deleted {answer.status}")
        return answer.status

    async def _cancel(self) -> None:
        if there := self._record.there():
            await self._asker.ask(
                "POST", f"/api/admin/videos/{self._random.choice(there).id}/cancel/", b"", token=self.token
            )

    async def _retry(self) -> None:
        """All that failed, also those of which nothing can be made."""
        answer = await self._asker.ask("GET", "/api/admin/videos/", token=self.token)
        if answer.status == 200:
            for video in answer.json:
                if video["status"] == "failed":
                    await self._asker.ask("POST", f"/api/admin/videos/{video['id']}/retry/", b"", token=self.token)

    async def _rename(self) -> None:
        if there := self._record.there():
            film, text = self._random.choice(there), uuid.uuid4().hex
            path = f"/api/admin/videos/{film.id}/"
            answer = await self._asker.ask("PATCH", path, {"category": text}, token=self.token)
            if answer.status == 404:
                self._record.require(film.gone is not False, f"film {film.id} is unknown")

    async def describe(self) -> None:
        """Some film; returns at the moment of the answer."""
        if there := self._record.there():
            film, text = self._random.choice(there), uuid.uuid4().hex
            film.description = None
            path = f"/api/admin/videos/{film.id}/"
            answer = await self._asker.ask("PATCH", path, {"description": text}, token=self.token)
            film.description = text if answer.status == 200 else None

    async def _look(self) -> None:
        answer = await self._asker.ask("GET", "/api/admin/jobs/", token=self.token)
        self._record.require(answer.status in (0, 200, 503), f"jobs: {answer.status}")

    def _new(self) -> tuple[Kind, str]:
        """A kind, and a title that no other film has."""
        return self._random.choice(self._kinds), uuid.UUID(int=self._random.getrandbits(128)).hex


class Viewer:
    """Somewhere in some film, and away again."""

    def __init__(self, site: Site, record: Record, random: Random, token: str) -> None:
        self._record = record
        self._random = random
        self._token = token
        self._asker = Asker(site.up.url, record)

    async def run(self, until: asyncio.Event) -> None:
        """One film after another."""
        while not until.is_set():
            answer = await self._asker.ask("GET", "/api/video/", token=self._token)
            if answer.status == 200 and answer.json:
                await self._watch(self._random.choice(answer.json)["id"])
            await asyncio.sleep(self._random.uniform(0, 1))

    async def _watch(self, film: int) -> None:
        playlist = await self._asker.ask("GET", f"/media/hls/{film}/480p/index.m3u8", token=self._token)
        names = re.findall(rb"\d+\.ts", playlist.body)
        if playlist.status != 200 or not names:
            return
        for name in self._random.sample(names, min(len(names), 3)):
            patience = self._random.choice((0.3, 45.0))
            path = f"/media/hls/{film}/480p/{name.decode()}"
            answer = await self._asker.ask("GET", path, token=self._token, patience=patience)
            self._record.count(f"segments answered {answer.status}")
            if answer.status == 200:
                self._record.require(
                    answer.body and not len(answer.body) % 188, f"{path}: {len(answer.body)} bytes are no segment"
                )


def form(kind: Kind, title: str) -> tuple[bytes, str]:
    """A multipart form, and its type."""
    boundary = uuid.uuid4().hex
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="title"\r\n\r\n{title}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{kind.path.name}"\r\n\r\n'
    )
    body = head.encode() + kind.path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"
