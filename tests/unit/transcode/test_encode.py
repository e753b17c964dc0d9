"""Whether there is room for the copy of a source."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.workers import NO_TOOLS
from transcode.errors import TooLarge
from transcode.runner import GIB
from transcode.tasks.assignment import Assignment
from transcode.tasks.ffmpeg import require_room


def test_a_copy_that_would_eat_up_the_reserve_is_not_begun(tmp_path: Path) -> None:
    work = Assignment("probe", 1, "film.ts", tmp_path, tmp_path, NO_TOOLS)
    require_room(work, 1)
    with pytest.raises(TooLarge, match=r"a copy of 2.0 GiB"):
        require_room(replace(work, reserve=shutil.disk_usage(tmp_path).total), 2 * GIB)
