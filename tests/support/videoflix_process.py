"""A whole Videoflix as `make run` starts it, on a free port, in folders of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.support.processes import all_exited
from tests.support.waiting import block_until
from videoflix.embedded.servers import find_free_port


class VideoflixProcess:
    """A running `videoflix up`."""

    def __init__(self, folder: Path, *options: str, port: int = 0) -> None:
        self.folder = folder
        self.port = port or find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output: list[str] = []
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "videoflix", "up", "--port", str(self.port), *options],
            cwd=folder,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)

    @property
    def text(self) -> str:
        """Return what it printed so far."""
        return "".join(self.output)

    def banner(self) -> dict[str, str]:
        """Wait for the banner; return its values by their labels."""
        block_until(lambda: "Stop " in self.text or self.process.poll() is not None, 60)
        assert "Videoflix is running" in self.text, self.text
        pairs = re.findall(r"│\s+(Watch|API|Health|Sign in|Password|Data)\s+(.+?)\s*│", self.text)
        return dict(pairs)

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Stop it and wait for it; return the seconds that it took."""
        begin = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(30)
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return time.monotonic() - begin

    def processes(self) -> list[psutil.Process]:
        """Return the process itself and everything that it started."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def child(self, command: str) -> psutil.Process:
        """Return the child process that runs `videoflix COMMAND`."""
        return next(child for child in self.processes() if child.cmdline()[-1:] == [command])

    def get(self, path: str, cookie: str = "") -> Any:
        """Send a GET request; return the decoded JSON."""
        return json.loads(self.request(path, cookie=cookie)[2])

    def request(
        self, path: str, body: Any = None, cookie: str = "", method: str | None = None
    ) -> tuple[int, Any, bytes]:
        """Send a request; return status, headers and body.

        Without `method`: GET, or POST when there is a JSON body.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Cookie": cookie, "Origin": self.url}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def log_in(self) -> str:
        """Log in as the printed admin; return the value for a Cookie header."""
        banner = self.banner()
        status, headers, body = self.request(
            "/api/login/", {"email": banner["Sign in"], "password": banner["Password"]}
        )
        assert status == 200, body
        return "; ".join(line.split(";")[0] for line in headers.get_all("Set-Cookie"))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `videoflix ARGUMENTS` in the same folder."""
        return subprocess.run(
            [sys.executable, "-m", "videoflix", *arguments],
            cwd=self.folder,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )


def clean_environment() -> dict[str, str]:
    """Return this process's environment without settings, and with no reserve of disk space."""
    kept = {name: value for name, value in os.environ.items() if name not in ("MONGODB_URI", "REDIS_URL", "PORT")}
    return {**kept, "MIN_FREE_GIB": "0"}


@contextmanager
def running_videoflix(folder: Path, *options: str) -> Iterator[VideoflixProcess]:
    """Run `videoflix up` for the block; assert that none of its processes is left afterwards."""
    started = VideoflixProcess(folder, *options)
    family: list[psutil.Process] = []
    try:
        yield started
        family = started.processes() if started.process.poll() is None else []
    finally:
        started.stop()
    assert all_exited(family), [process.cmdline() for process in family if process.is_running()]
