"""Several web processes on one port, as `videoflix web --processes N` starts them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.acceptance.support import gone, until
from videoflix.embedded.servers import free_port
from videoflix.settings import Settings

TOKEN = "for a scraper, and long enough for it"


@contextmanager
def web(settings: Settings, *options: str) -> Iterator[tuple[psutil.Process, str]]:
    """The parent, and the URL that its children answer at."""
    port = free_port()
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
    assert gone(family)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return bool(response.status == 200)
    except urllib.error.URLError:
        return False


def counted(url: str) -> float:
    """How many requests for its health the site says that it has answered."""
    request = urllib.request.Request(url.replace("healthz", "metrics"), headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=10) as response:
        found = re.findall(
            r'^videoflix_requests_total\{family="health",status="200"\} (.*)$', response.read().decode(), re.M
        )
    return float(found[0])


def test_processes_share_a_port_and_one_that_dies_is_started_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METRICS_TOKEN", TOKEN)
    with web(settings, "--processes", "2") as (parent, url):
        until(lambda: answers(url), 30)
        until(lambda: len(parent.children()) == 2, 10)
        first, second = parent.children()
        first.kill()
        for _ in range(20):  # nobody is refused meanwhile
            assert answers(url)
        until(lambda: len(living := parent.children()) == 2 and first not in living, 20)
        second.terminate()
        for _ in range(20):  # nor cut off
            assert answers(url)
        assert {counted(url) for _ in range(8)} == {41.0}  # whichever is asked, and also what the dead one did
