"""A site under test: all that `make run` starts, with two web processes, and a second worker."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.processes import still_running
from tests.support.videoflix_process import VideoflixProcess, clean_environment

PROCESS_KINDS = ("web", "worker", "hand", "ffmpeg", "redis", "database")


class Site:
    """A running site. `keep_second_worker` restarts the second worker while it is awaited."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.media_root = folder / "media"
        self.instance = VideoflixProcess(folder, "--no-demo")
        self.banner = self.instance.banner()
        self._worker: subprocess.Popen[bytes] | None = None
        self._processes: set[psutil.Process] = set()
        self._earlier_output = ""

    async def keep_second_worker(self) -> None:
        """Run a second worker, and restart it whenever it ends."""
        while True:
            if self._worker is None or self._worker.poll() is not None:
                with (self.folder / "worker.log").open("ab") as log:
                    argv = [sys.executable, "-m", "videoflix", "worker"]
                    self._worker = subprocess.Popen(
                        argv, cwd=self.folder, env=clean_environment(), stdout=log, stderr=log
                    )
            self.process_tree()
            await asyncio.sleep(1)

    def crash_and_restart(self) -> None:
        """Kill all processes at once and start the site again. Return when it is up."""
        for process in [psutil.Process(self.instance.process.pid), *self.process_tree()]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        while not self._restart():
            time.sleep(1)  # what it depends on may be down at the moment

    def _restart(self) -> bool:
        self.instance.stop()
        self._earlier_output += self.instance.text
        self.instance = VideoflixProcess(self.folder, "--no-demo", port=self.instance.port)
        with suppress(AssertionError):
            self.instance.banner()
            return True
        return False

    def process_tree(self) -> list[psutil.Process]:
        """Return all live processes that the site has started."""
        for root in (self.instance.process, self._worker):
            with suppress(psutil.NoSuchProcess):
                if root is not None and root.poll() is None:
                    parent = psutil.Process(root.pid)
                    self._processes |= {parent, *parent.children(recursive=True)}
        return [process for process in list(self._processes) if process.is_running()]

    def processes_of_kind(self, kind: str) -> list[psutil.Process]:
        """Return the live processes of a kind, oldest first."""
        found = [process for process in self.process_tree() if _process_kind(process) == kind]
        return sorted(found, key=lambda process: process.pid)

    def output(self) -> str:
        """Return the log output of all processes."""
        beside = self.folder / "worker.log"
        return (
            self._earlier_output + self.instance.text + (beside.read_text(errors="replace") if beside.exists() else "")
        )

    def stop(self) -> Sequence[str]:
        """Stop everything. Return descriptions of processes that are still alive."""
        family = self.process_tree()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        if self._worker is not None:
            self._worker.terminate()
            self._worker.wait(30)
        self.instance.stop()
        return [" ".join(_argv(process)) for process in still_running({*family, *self._stray_processes()}, 3)]

    def _stray_processes(self) -> list[psutil.Process]:
        """Return all processes that use the folder, whatever started them."""
        mine, found = os.getpid(), []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.pid != mine and self.folder in (Path(process.cwd()), *Path(process.cwd()).parents):
                    found.append(process)
        return found


def _process_kind(process: psutil.Process) -> str:
    argv = _argv(process)
    if not argv:
        return ""
    program = Path(argv[0]).name
    if program in ("ffmpeg", "ffprobe"):
        return "ffmpeg"
    if program.startswith("redis-server"):
        return "redis"
    if any("secantusd" in argument for argument in argv[:2]):
        return "database"
    if "spawn_main" in " ".join(argv):
        return "hand"
    if "videoflix" in argv:
        return argv[argv.index("videoflix") + 1]
    return ""


def _argv(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []
