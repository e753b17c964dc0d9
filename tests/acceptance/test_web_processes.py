"""Several web processes on one port, as `videoflix web --processes N` starts them."""

from __future__ import annotations

import re
import urllib.error
import urllib.request

import pytest

from tests.support.waiting import block_until
from tests.support.web_processes import is_answering, running_web_processes
from videoflix.settings import Settings

TOKEN = "for a scraper, and long enough for it"


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
    with running_web_processes(settings, "--processes", "2") as (parent, url):
        block_until(lambda: is_answering(url), 30)
        block_until(lambda: len(parent.children()) == 2, 10)
        first, second = parent.children()
        first.kill()
        for _ in range(20):  # nobody is refused meanwhile
            assert is_answering(url)
        block_until(lambda: len(living := parent.children()) == 2 and first not in living, 20)
        second.terminate()
        for _ in range(20):  # nor cut off
            assert is_answering(url)
        assert {counted(url) for _ in range(8)} == {41.0}  # whichever is asked, and also what the dead one did
