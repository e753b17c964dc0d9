"""Fixtures of the transcoder: sample videos, an empty repository and a script for the tasks of workers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.repository import InMemoryRepository
from tests.support.sample_videos import Recipe
from tests.support.scripted_tasks import TaskScript
from tests.support.video_factory import InspectedVideo, VideoFactory
from transcode.ffmpeg.binaries import FfmpegBinaries

pytest.register_assert_rewrite("tests.support.hls_checks")


@pytest.fixture(scope="session")
def video_factory(
    tools: FfmpegBinaries, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[VideoFactory]:
    """Build the videos of all collected tests, two at a time while the tests inspect them."""
    with ThreadPoolExecutor(2) as threads:
        video_factory = VideoFactory(tools, tmp_path_factory.mktemp("videos"), threads)
        for item in request.session.items:  # those that will be asked for
            if isinstance(recipe := getattr(item, "callspec", None) and item.callspec.params.get("recipe"), Recipe):
                video_factory.submit(recipe)
        yield video_factory
        threads.shutdown(cancel_futures=True)


@pytest.fixture
def video(video_factory: VideoFactory, recipe: Recipe) -> InspectedVideo:
    """Return the video of a recipe."""
    return video_factory.submit(recipe).result(timeout=120)


@pytest.fixture
def repository() -> InMemoryRepository:
    """Return an empty repository."""
    return InMemoryRepository()


@pytest.fixture
def task_script(tmp_path: Path) -> TaskScript:
    """Return the script of the scripted tasks in this media folder."""
    return TaskScript(tmp_path)
