"""How finished files come into their places, and whether there is room for them."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.workers import NO_TOOLS
from transcode import layout
from transcode.errors import TooLarge
from transcode.runner import GIB
from transcode.tasks.assignment import Assignment
from transcode.tasks.ffmpeg import require_room


@pytest.fixture(params=["hard links", "none"])
def volume(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With and without hard links; exFAT cannot be mounted by everyone, so its answer is given by hand."""

    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if request.param == "none":
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    return tmp_path


def test_a_copy_that_would_eat_up_the_reserve_is_not_begun(tmp_path: Path) -> None:
    work = Assignment("probe", 1, "film.ts", tmp_path, tmp_path, NO_TOOLS)
    require_room(work, 1)
    with pytest.raises(TooLarge, match=r"a copy of 2.0 GiB"):
        require_room(replace(work, reserve=shutil.disk_usage(tmp_path).total), 2 * GIB)


def test_an_on_demand_segment_never_replaces_a_published_one(volume: Path) -> None:
    place = volume / "0000.ts"
    for number in (1, 2):
        made = volume / "made"
        made.write_text(f"number {number}")
        layout.publish_new(made, place)
        assert place.read_text() == "number 1"
        assert list(volume.iterdir()) == [place]
