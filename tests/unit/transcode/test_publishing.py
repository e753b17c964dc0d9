"""Publishing: an on-demand segment never replaces a file that exists."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from transcode import publishing


@pytest.fixture(params=["hard links", "none"])
def volume(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with and without support for hard links.

    Mounting an exFAT volume needs root, so its error is simulated.
    """

    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if request.param == "none":
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    return tmp_path


def test_an_on_demand_segment_never_replaces_a_published_one(volume: Path) -> None:
    destination = volume / "0000.ts"
    for number in (1, 2):
        source = volume / "source"
        source.write_text(f"number {number}")
        publishing.publish_if_absent(source, destination)
        assert destination.read_text() == "number 1"
        assert list(volume.iterdir()) == [destination]
