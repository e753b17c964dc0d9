"""The check for disk space before a copy of the source is written."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.workers import NO_TOOLS
from transcode.errors import OutputTooLarge
from transcode.ffmpeg.process import GIB
from transcode.tasks.context import TaskContext
from transcode.tasks.encode import require_free_space


def test_a_copy_that_would_use_the_reserve_is_refused(tmp_path: Path) -> None:
    context = TaskContext("probe", 1, "video.ts", tmp_path, tmp_path, NO_TOOLS)
    require_free_space(context, 1)
    with pytest.raises(OutputTooLarge, match=r"a copy of 2.0 GiB"):
        require_free_space(replace(context, reserve_bytes=shutil.disk_usage(tmp_path).total), 2 * GIB)
