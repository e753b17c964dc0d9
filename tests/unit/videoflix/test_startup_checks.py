"""videoflix.startup_checks: unusable folders are reported before anything starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from videoflix.errors import CommandError
from videoflix.startup_checks import hold_lock, require_media_root


def test_a_media_folder_is_made_and_nothing_stays_of_the_trial(tmp_path: Path) -> None:
    for _ in range(2):
        require_media_root(tmp_path / "media")
    assert sorted(path.name for path in (tmp_path / "media").rglob("*")) == ["hls", "scratch", "thumbnails", "videos"]


def test_a_media_folder_across_several_volumes_is_refused(
    tmp_path: Path,
) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second volume")
    disk = elsewhere / f"videoflix-{os.getpid()}"
    disk.mkdir()
    try:
        (tmp_path / "videos").symlink_to(disk)
        with pytest.raises(CommandError, match="must lie on one volume"):
            require_media_root(tmp_path)
        assert list(disk.iterdir()) == list((tmp_path / "scratch").iterdir()) == []
    finally:
        disk.rmdir()


def test_a_folder_is_for_one_at_a_time(tmp_path: Path) -> None:
    with (
        hold_lock(tmp_path / "lock", "the folder", "--data-dir"),
        pytest.raises(CommandError, match="already running with the folder"),
        hold_lock(tmp_path / "lock", "the folder", "--data-dir"),
    ):
        pass
    with hold_lock(tmp_path / "lock", "the folder", "--data-dir"):
        pass
