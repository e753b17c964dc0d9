"""How finished files are published: atomically, and on demand without replacing any."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from transcode import publishing


@pytest.fixture(params=["hard links", "none"])
def volume(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With and without hard links; exFAT cannot be mounted by everyone, so its answer is given by hand."""

    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if request.param == "none":
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    return tmp_path


def test_an_on_demand_segment_never_replaces_a_published_one(volume: Path) -> None:
    place = volume / "0000.ts"
    for number in (1, 2):
        made = volume / "made"
        made.write_text(f"number {number}")
        publishing.publish_if_absent(made, place)
        assert place.read_text() == "number 1"
        assert list(volume.iterdir()) == [place]
