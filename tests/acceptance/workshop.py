"""Films, and real workers as processes that get killed; the site around them is in this process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.tools import FfmpegTools, living
from tests.transcode.support import scratch_of
from transcode import layout
from transcode.runner import ENVIRONMENT
from transcode.timeline import Timeline
from videoflix.composition.root import open_services
from videoflix.models import NewVideo, Video
from videoflix.services import Services
from videoflix.settings import Settings

SECONDS = 30  # eight segments in four chunks: 1, 2, 4 and the last one of two seconds
FIRST = {"chunk:0000": "0", "chunk:0001": "1", "chunk:0002": "3"}  # their first segments


def make_film(tools: FfmpegTools, place: Path, seconds: int = SECONDS) -> Path:
    """A small picture that is hard to encode, and sound."""
    argv = [
        tools.ffmpeg, "-nostdin", "-v", "error", "-y",
        "-f", "lavfi", "-i", f"testsrc2=size=320x180:rate=25:duration={seconds}",
        "-f", "lavfi", "-i", f"sine=frequency=330:duration={seconds}",
        "-c:v", "libx264", "-preset", "ultrafast", "-crf", "28", "-pix_fmt", "yuv420p", "-g", "50",
        "-c:a", "aac", str(place),
    ]  # fmt: skip
    subprocess.run(argv, check=True)
    return place


class WorkerProcess:
    """One worker, and every process that it ever had."""

    def __init__(self, settings: Settings, folder: Path, stall: float) -> None:
        self._log = folder / "worker.log"
        environment = {**os.environ, **settings.as_environment(), "LOG_LEVEL": "INFO"}
        environment["MEDIA_ROOT"], environment["WORKER_SLOTS"] = str(settings.media_root), "1"
        environment["MONGODB_DB"], environment["MIN_FREE_GIB"] = settings.mongodb_db, str(settings.min_free_gib)
        environment["PYTHONPATH"] = str(Path(__file__).parents[2])
        environment["TEST_STALL"] = str(stall)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.acceptance.quick_worker"], env=environment, cwd=folder,
                stdout=log, stderr=log,
            )  # fmt: skip
        self._seen: set[psutil.Process] = set()

    @property
    def text(self) -> str:
        return self._log.read_text()

    def family(self) -> list[psutil.Process]:
        """Itself and all below it."""
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            self._seen |= {parent, *parent.children(recursive=True)}
        return [process for process in self._seen if process.is_running()]

    def encoders(self, task: str = "") -> list[psutil.Process]:
        """The ffmpeg of a chunk, or of any."""
        return [process for process in self.family() if _encodes(process, FIRST.get(task, ""))]

    async def halt(self, task: str = "") -> psutil.Process:
        """Stop the ffmpeg of a chunk, or of any, as soon as it is there, so that there is a middle."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for encoder in self.encoders(task):
                with suppress(psutil.NoSuchProcess):
                    encoder.suspend()
                    return encoder
            await asyncio.sleep(0.02)
        raise AssertionError(f"{task or 'a chunk'} was never begun\n{self.text[-6000:]}")

    def send(self, number: int) -> None:
        """To the worker alone."""
        self.process.send_signal(number)

    def freeze(self) -> None:
        """As if the machine stood still: the worker and all below it."""
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it, and see that nothing of it lives on."""
        self.family()
        if self.process.poll() is None:
            self.send(number)
        self.process.wait(15)
        assert living(self._seen) == []


def _encodes(process: psutil.Process, first: str) -> bool:
    with suppress(psutil.Error, ValueError, IndexError):
        argv = process.cmdline()
        return "ffmpeg" in argv[0] and argv[argv.index("-start_number") + 1].startswith(first)
    return False


@dataclass
class Workshop:
    """A site without a web server, and its workers."""

    services: Services
    settings: Settings
    folder: Path
    film: Path
    tools: FfmpegTools
    workers: list[WorkerProcess] = field(default_factory=list)

    def start_worker(self, stall: float = 60) -> WorkerProcess:
        """`stall`: seconds after which what stands still is stopped."""
        worker = WorkerProcess(self.settings, self.folder, stall)
        self.workers.append(worker)
        return worker

    async def take_in(self, film: Path | None = None) -> int:
        place = self.services.uploads.place(0)
        os.link(film or self.film, place) if _same_volume(self.film, place) else place.write_bytes(
            (film or self.film).read_bytes()
        )
        return (await self.services.catalogue.take_in(NewVideo(title="A film"), place, ".mp4")).id

    async def video(self, film: int) -> Video:
        return await self.services.catalogue.get(film)

    async def tasks(self, film: int) -> Mapping[str, Mapping[str, Any]]:
        """By their names; empty while there is no job."""
        with suppress(Exception):
            jobs = await self.services.engine.jobs()
            return {task["id"]: task for job in jobs if job["film"] == film for task in job["tasks"]}
        return {}

    async def status(self, film: int, status: str, seconds: float = 60) -> None:
        async def is_so() -> bool:
            return (await self.video(film)).status == status

        await eventually(is_so, self.said, seconds)

    async def is_nearly_done(self, film: int) -> bool:
        """All but its last task."""
        return "finish" in await self.tasks(film) or (await self.video(film)).status == "ready"

    async def is_idle(self, film: int) -> bool:
        """Nothing is done for it, and no scratch is left."""
        return (await self.video(film)).status != "processing" and scratch_of(self.settings.media_root) == []

    def said(self) -> str:
        """What the workers said, for a test that fails."""
        return self.workers[-1].text[-6000:] if self.workers else ""

    def published(self, film: int) -> dict[str, int]:
        """Segments and their inodes: a segment that is made again has another one."""
        folder = self.settings.media_root / "hls" / str(film)
        return {str(file.relative_to(folder)): file.stat().st_ino for file in folder.rglob("*.ts")}

    async def finished(self, film: int) -> dict[str, int]:
        """Those of the chunks that the catalogue holds: of others, a worker that lost its lease may have left some."""
        video = await self.video(film)
        timeline = Timeline.from_json(dict(video.timeline or {}))
        numbers = [number for chunk in video.chunks_done for number in timeline.grid.chunk(chunk)]
        wanted = {f"{name}/{layout.segment_name(number)}" for name in video.renditions for number in numbers}
        return {name: inode for name, inode in self.published(film).items() if name in wanted}

    async def check(self, film: int) -> None:
        """Ready, with exactly the right segments, and nothing else left."""
        await self.status(film, "ready")
        video = await self.video(film)
        for name in video.renditions:
            folder = self.settings.media_root / "hls" / str(film) / name
            listed = [line for line in (folder / "index.m3u8").read_text().splitlines() if line.endswith(".ts")]
            assert listed == [f"{number:04d}.ts" for number in range(video.segments)]
            assert sorted(file.name for file in folder.glob("*.ts")) == listed
            assert self._frames(folder / "index.m3u8") == round(video.duration * 25)

        async def is_swept() -> bool:
            return scratch_of(self.settings.media_root) == []

        await eventually(is_swept, lambda: str(scratch_of(self.settings.media_root)))

    def _frames(self, playlist: Path) -> int:
        argv = [
            self.tools.ffprobe, "-v", "error", "-count_packets", "-select_streams", "v:0",
            "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", str(playlist),
        ]  # fmt: skip
        found = subprocess.run(argv, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout
        return int(found.split()[0].strip(","))


def _same_volume(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.parent.stat().st_dev


@asynccontextmanager
async def workshop(settings: Settings, folder: Path, film: Path, tools: FfmpegTools) -> AsyncIterator[Workshop]:
    """Open for the block; afterwards no process of any worker is left."""
    async with open_services(settings) as services:
        shop = Workshop(services, settings, folder, film, tools)
        try:
            yield shop
        finally:
            for worker in shop.workers:
                worker.thaw()
                worker.end()


async def eventually(
    is_so: Callable[[], Awaitable[bool]], said: Callable[[], str] = lambda: "", seconds: float = 60
) -> None:
    deadline = time.monotonic() + seconds
    while not await is_so():
        assert time.monotonic() < deadline, f"it did not happen\n{said()}"
        await asyncio.sleep(0.02)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A volume of its own, or OSError where this user may not mount one."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "films", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        raise OSError(mounted.stderr.decode().strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
