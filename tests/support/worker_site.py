"""A site in this process without a web server, and real workers as processes that tests kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.support.processes import still_running
from tests.support.waiting import wait_until
from tests.support.workers import scratch_files
from transcode import paths
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ffmpeg.process import ENVIRONMENT
from transcode.presentation import Presentation
from videoflix.bootstrap.services import open_services
from videoflix.models import NewVideo, Video
from videoflix.services import Services
from videoflix.settings import Settings

SECONDS = 30  # eight segments in four chunks: 1, 2, 4 and the last one of two seconds
FIRST = {"chunk:0000": "0", "chunk:0001": "1", "chunk:0002": "3"}  # their first segments


def make_video_file(tools: FfmpegBinaries, place: Path, seconds: int = SECONDS) -> Path:
    """Write a small video that is hard to encode, with audio; return its path."""
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
    """A `videoflix worker`, and every process that it ever had."""

    def __init__(self, settings: Settings, folder: Path, stall: float) -> None:
        self._log = folder / "worker.log"
        environment = {**os.environ, **settings.as_environment(), "LOG_LEVEL": "INFO"}
        environment["MEDIA_ROOT"], environment["WORKER_SLOTS"] = str(settings.media_root), "1"
        environment["MONGODB_DB"], environment["MIN_FREE_GIB"] = settings.mongodb_db, str(settings.min_free_gib)
        environment["PYTHONPATH"] = str(Path(__file__).parents[2])
        environment["TEST_STALL"] = str(stall)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fast_worker"], env=environment, cwd=folder,
                stdout=log, stderr=log,
            )  # fmt: skip
        self._seen: set[psutil.Process] = set()

    @property
    def text(self) -> str:
        """Return its log so far."""
        return self._log.read_text()

    def processes(self) -> list[psutil.Process]:
        """Return the worker and its descendants, as far as they still run."""
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            self._seen |= {parent, *parent.children(recursive=True)}
        return [process for process in self._seen if process.is_running()]

    def encoders(self, task: str = "") -> list[psutil.Process]:
        """Return the running ffmpeg processes of a task, or of all of them."""
        return [process for process in self.processes() if _encodes(process, FIRST.get(task, ""))]

    async def suspend_encoder(self, task: str = "") -> psutil.Process:
        """Suspend the ffmpeg of a task, or any, as soon as it is there, so that the task stays half done."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for encoder in self.encoders(task):
                with suppress(psutil.NoSuchProcess):
                    encoder.suspend()
                    return encoder
            await asyncio.sleep(0.02)
        raise AssertionError(f"{task or 'a chunk'} was never begun\n{self.text[-6000:]}")

    def send(self, number: int) -> None:
        """Send a signal to the worker alone."""
        self.process.send_signal(number)

    def suspend_all(self) -> None:
        """Suspend the worker and its descendants, as if the machine stood still."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def resume_all(self) -> None:
        """Resume the worker and its descendants."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop the worker with a signal; assert that none of its processes is left."""
        self.processes()
        if self.process.poll() is None:
            self.send(number)
        self.process.wait(15)
        assert still_running(self._seen) == []


def _encodes(process: psutil.Process, first: str) -> bool:
    with suppress(psutil.Error, ValueError, IndexError):
        argv = process.cmdline()
        return "ffmpeg" in argv[0] and argv[argv.index("-start_number") + 1].startswith(first)
    return False


@dataclass
class WorkerSite:
    """A site without a web server, and its workers."""

    services: Services
    settings: Settings
    folder: Path
    video_file: Path
    tools: FfmpegBinaries
    workers: list[WorkerProcess] = field(default_factory=list)

    def start_worker(self, stall: float = 60) -> WorkerProcess:
        """Start a worker. `stall`: seconds without progress after which it stops a task."""
        worker = WorkerProcess(self.settings, self.folder, stall)
        self.workers.append(worker)
        return worker

    async def import_video(self, file: Path | None = None) -> int:
        """Import a file, or the usual one; return the id of the video."""
        place = self.services.uploads.allocate_path(0)
        os.link(file or self.video_file, place) if _same_volume(self.video_file, place) else place.write_bytes(
            (file or self.video_file).read_bytes()
        )
        return (await self.services.catalogue.import_upload(NewVideo(title="A film"), place, ".mp4")).id

    async def video(self, video_id: int) -> Video:
        """Return the record of a video."""
        return await self.services.catalogue.get(video_id)

    async def tasks(self, video_id: int) -> Mapping[str, Mapping[str, Any]]:
        """Return the tasks of a video by their ids; empty while there is no job."""
        with suppress(Exception):
            jobs = await self.services.engine.jobs()
            return {task["id"]: task for job in jobs if job["film"] == video_id for task in job["tasks"]}
        return {}

    async def status(self, video_id: int, status: str, seconds: float = 60) -> None:
        """Wait until a video has this status."""

        async def is_so() -> bool:
            return (await self.video(video_id)).status == status

        await wait_until(is_so, seconds, self.worker_log)

    async def is_nearly_done(self, video_id: int) -> bool:
        """Return whether only the final task is left."""
        return "finish" in await self.tasks(video_id) or (await self.video(video_id)).status == "ready"

    async def is_idle(self, video_id: int) -> bool:
        """Return whether no task of a video runs and no scratch is left."""
        return (await self.video(video_id)).status != "processing" and scratch_files(self.settings.media_root) == []

    def worker_log(self) -> str:
        """Return the end of the last worker's log, for a test that fails."""
        return self.workers[-1].text[-6000:] if self.workers else ""

    def published(self, video_id: int) -> dict[str, int]:
        """Return the published segments and their inodes: a segment that is encoded again has another one."""
        folder = self.settings.media_root / "hls" / str(video_id)
        return {str(file.relative_to(folder)): file.stat().st_ino for file in folder.rglob("*.ts")}

    async def finished(self, video_id: int) -> dict[str, int]:
        """Return the published segments of the chunks that the catalogue holds as done.

        A worker that lost its lease may have left segments of other chunks.
        """
        video = await self.video(video_id)
        timeline = Presentation.from_json(dict(video.presentation or {}))
        numbers = [number for chunk in video.chunks_done for number in timeline.grid.chunk_segments(chunk)]
        wanted = {f"{name}/{paths.segment_name(number)}" for name in video.renditions for number in numbers}
        return {name: inode for name, inode in self.published(video_id).items() if name in wanted}

    async def check(self, video_id: int) -> None:
        """Assert that a video is ready, with exactly the right segments, and nothing else left."""
        await self.status(video_id, "ready")
        video = await self.video(video_id)
        for name in video.renditions:
            folder = self.settings.media_root / "hls" / str(video_id) / name
            listed = [line for line in (folder / "index.m3u8").read_text().splitlines() if line.endswith(".ts")]
            assert listed == [f"{number:04d}.ts" for number in range(video.segments)]
            assert sorted(file.name for file in folder.glob("*.ts")) == listed
            assert self._frames(folder / "index.m3u8") == round(video.duration * 25)

        async def is_swept() -> bool:
            return scratch_files(self.settings.media_root) == []

        await wait_until(is_swept, details=lambda: str(scratch_files(self.settings.media_root)))

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
async def open_worker_site(
    settings: Settings, folder: Path, video_file: Path, tools: FfmpegBinaries
) -> AsyncIterator[WorkerSite]:
    """Open a site for the block; stop its workers afterwards."""
    async with open_services(settings) as services:
        site = WorkerSite(services, settings, folder, video_file, tools)
        try:
            yield site
        finally:
            for worker in site.workers:
                worker.resume_all()
                worker.stop()
