"""Web processes as `videoflix web` starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.support.processes import all_exited
from videoflix.embedded.servers import find_free_port
from videoflix.settings import Settings


@contextmanager
def running_web_processes(settings: Settings, *options: str) -> Iterator[tuple[psutil.Process, str]]:
    """Run `videoflix web` for the block; yield the parent process and the URL of its health check."""
    port = find_free_port()
    given = {**settings.as_environment(), "MONGODB_DB": settings.mongodb_db, "MEDIA_ROOT": str(settings.media_root)}
    process = subprocess.Popen(
        [sys.executable, "-m", "videoflix", "web", "--port", str(port), *options],
        env={**os.environ, **given},
        stderr=subprocess.DEVNULL,
    )
    parent, url = psutil.Process(process.pid), f"http://127.0.0.1:{port}/healthz"
    try:
        yield parent, url
    finally:
        family = [parent, *parent.children(recursive=True)]
        process.send_signal(signal.SIGTERM)
        process.wait(12)
    assert process.returncode == 0
    assert all_exited(family)


def is_answering(url: str) -> bool:
    """Return whether this URL answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return bool(response.status == 200)
    except urllib.error.URLError:
        return False
