"""Actors on videos: admins who upload and delete them, and viewers who watch them."""

from __future__ import annotations

import asyncio
import re
import sys
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

from benchmarks.soak.client import CheckedClient
from benchmarks.soak.record import ExpectedVideo, SoakReport
from benchmarks.soak.samples import SampleFile
from benchmarks.soak.site import Site
from tests.support.videoflix_process import clean_environment
from transcode.aio import wait_for_event

_LARGE_UPLOAD_BYTES = 48 * 1024**2  # a seventh of the site's disk
_LARGE_SHARE = 0.3
_MAX_VIDEOS = 20  # at once: above this, the next action deletes one


class Admin:
    """An admin who stays signed in and manages videos."""

    def __init__(self, site: Site, report: SoakReport, samples: list[SampleFile], random: Random, token: str) -> None:
        self._site = site
        self._report = report
        self._samples = samples
        self._random = random
        self.token = token
        self._client = CheckedClient(site.instance.url, report)

    async def run(self, stop_event: asyncio.Event) -> None:
        """Perform actions until the event is set."""
        moves: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self._upload, 6), (self._abort_upload, 2), (self._import, 1), (self._delete, 3), (self._cancel, 1),
            (self._retry, 2), (self._rename, 1), (self._list_jobs, 1),
        ]  # fmt: skip
        while not stop_event.is_set():
            move = self._random.choices([move for move, _ in moves], [weight for _, weight in moves])[0]
            await (self._delete() if len(self._report.existing_videos()) > _MAX_VIDEOS else move())
            await wait_for_event(stop_event, self._random.uniform(0, 2.5))

    async def _upload(self) -> None:
        kind, title = self._pick_sample()
        body, content_type = multipart_form(kind, title)
        self._report.possible_videos[title] = kind
        answer = await self._client.request(
            "POST", "/api/admin/videos/", body, token=self.token, content_type=content_type
        )
        self._report.count(f"uploads answered {answer.status}")
        if answer.status == 201:
            del self._report.possible_videos[title]
            self._report.videos[answer.json["id"]] = ExpectedVideo(answer.json["id"], kind, title)
            self._report.log_event(f"video {answer.json['id']} {kind.name}")

    async def _abort_upload(self) -> None:
        """Send a part of an upload, now and then of a large one, then close the connection."""
        kind, title = self._pick_sample()
        body, content_type = multipart_form(kind, title)
        if self._random.random() < _LARGE_SHARE:
            body += bytes(_LARGE_UPLOAD_BYTES)
        head = (
            f"POST /api/admin/videos/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        part = self._random.uniform(0, 1)
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self._site.instance.port)
            writer.write(head + body[: int(len(body) * part)])
            with suppress(TimeoutError):
                await asyncio.wait_for(writer.drain(), 2)
            await asyncio.sleep(self._random.uniform(0, 1))
            writer.transport.abort()
        self._report.count("uploads broken off")

    async def _import(self) -> None:
        """Import a video by the command line, and sometimes kill the command."""
        kind, title = self._pick_sample()
        self._report.possible_videos[title] = kind
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
        self._report.count(f"imports ended {command.returncode}")
        self._report.require(b"Traceback" not in said, f"import: {said.decode()}")
        if command.returncode == 0:
            self._report.require(not kind.expected_error, f"import took in {kind.name}")
            self._report.imported_videos[title] = self._report.possible_videos.pop(title)

    async def _delete(self) -> None:
        if not (there := self._report.existing_videos()):
            return
        video = self._random.choice(there)
        video.is_deleted = None
        await self.delete(video)

    async def delete(self, video: ExpectedVideo) -> int:
        """Delete a video and return the status. If there was no response before, 404 is a success too."""
        answer = await self._client.request("DELETE", f"/api/admin/videos/{video.id}/", token=self.token)
        self._report.count(f"deletions answered {answer.status}")
        if answer.status in (200, 404):
            video.is_deleted = True
            self._report.log_event(f"video {video.id} deleted {answer.status}")
        return answer.status

    async def _cancel(self) -> None:
        if there := self._report.existing_videos():
            await self._client.request(
                "POST", f"/api/admin/videos/{self._random.choice(there).id}/cancel/", b"", token=self.token
            )

    async def _retry(self) -> None:
        """Retry all failed videos, also those that cannot be transcoded."""
        answer = await self._client.request("GET", "/api/admin/videos/", token=self.token)
        if answer.status == 200:
            for video in answer.json:
                if video["status"] == "failed":
                    await self._client.request("POST", f"/api/admin/videos/{video['id']}/retry/", b"", token=self.token)

    async def _rename(self) -> None:
        if there := self._report.existing_videos():
            video, text = self._random.choice(there), uuid.uuid4().hex
            path = f"/api/admin/videos/{video.id}/"
            answer = await self._client.request("PATCH", path, {"category": text}, token=self.token)
            if answer.status == 404:
                self._report.require(video.is_deleted is not False, f"video {video.id} is unknown")

    async def set_description(self) -> None:
        """Change the description of a video, and return at the moment of the response."""
        if there := self._report.existing_videos():
            video, text = self._random.choice(there), uuid.uuid4().hex
            video.description = None
            path = f"/api/admin/videos/{video.id}/"
            answer = await self._client.request("PATCH", path, {"description": text}, token=self.token)
            video.description = text if answer.status == 200 else None

    async def _list_jobs(self) -> None:
        answer = await self._client.request("GET", "/api/admin/jobs/", token=self.token)
        self._report.require(answer.status in (0, 200, 503), f"jobs: {answer.status}")

    def _pick_sample(self) -> tuple[SampleFile, str]:
        """Return a sample and a unique title."""
        return self._random.choice(self._samples), uuid.UUID(int=self._random.getrandbits(128)).hex


class Viewer:
    """A viewer who opens random videos at random positions."""

    def __init__(self, site: Site, report: SoakReport, random: Random, token: str) -> None:
        self._report = report
        self._random = random
        self._token = token
        self._client = CheckedClient(site.instance.url, report)

    async def run(self, stop_event: asyncio.Event) -> None:
        """Watch videos until the event is set."""
        while not stop_event.is_set():
            answer = await self._client.request("GET", "/api/video/", token=self._token)
            if answer.status == 200 and answer.json:
                await self._watch(self._random.choice(answer.json)["id"])
            await asyncio.sleep(self._random.uniform(0, 1))

    async def _watch(self, video_id: int) -> None:
        playlist = await self._client.request("GET", f"/media/hls/{video_id}/480p/index.m3u8", token=self._token)
        names = re.findall(rb"\d+\.ts", playlist.body)
        if playlist.status != 200 or not names:
            return
        for name in self._random.sample(names, min(len(names), 3)):
            patience = self._random.choice((0.3, 45.0))
            path = f"/media/hls/{video_id}/480p/{name.decode()}"
            answer = await self._client.request("GET", path, token=self._token, timeout_s=patience)
            self._report.count(f"segments answered {answer.status}")
            if answer.status == 200:
                self._report.require(
                    answer.body and not len(answer.body) % 188, f"{path}: {len(answer.body)} bytes are no segment"
                )


def multipart_form(sample: SampleFile, title: str) -> tuple[bytes, str]:
    """Return a multipart form and its content type."""
    boundary = uuid.uuid4().hex
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="title"\r\n\r\n{title}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{sample.path.name}"\r\n\r\n'
    )
    body = head.encode() + sample.path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"
