"""Films of every kind, each made once per session, two at a time while the tests look at them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.tools import FfmpegTools
from tests.transcode.inspection import Film, look_at
from tests.transcode.obey import Orders
from tests.transcode.sources import Recipe
from tests.transcode.support import MemoryBook
from transcode.tools import Tools

pytest.register_assert_rewrite("tests.transcode.rules")


class Workshop:
    """Makes films from recipes."""

    def __init__(self, tools: Tools, folder: Path, hands: ThreadPoolExecutor) -> None:
        self._tools = tools
        self._folder = folder
        self._hands = hands
        self._films: dict[str, Future[Film]] = {}

    def begin(self, recipe: Recipe) -> Future[Film]:
        if recipe.name not in self._films:
            self._films[recipe.name] = self._hands.submit(self._make, recipe)
        return self._films[recipe.name]

    def _make(self, recipe: Recipe) -> Film:
        folder = self._folder / recipe.name
        folder.mkdir()
        return look_at(self._tools, recipe.make(self._tools, folder), folder)


@pytest.fixture(scope="session")
def tools(ffmpeg_tools: FfmpegTools) -> Tools:
    return Tools(ffmpeg_tools.ffmpeg, ffmpeg_tools.ffprobe)


@pytest.fixture(scope="session")
def workshop(
    tools: Tools, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Workshop]:
    with ThreadPoolExecutor(2) as hands:
        workshop = Workshop(tools, tmp_path_factory.mktemp("films"), hands)
        for item in request.session.items:  # those that will be asked for
            if isinstance(recipe := getattr(item, "callspec", None) and item.callspec.params.get("recipe"), Recipe):
                workshop.begin(recipe)
        yield workshop
        hands.shutdown(cancel_futures=True)


@pytest.fixture
def film(workshop: Workshop, recipe: Recipe) -> Film:
    """The film that was made of a recipe."""
    return workshop.begin(recipe).result(timeout=120)


@pytest.fixture
def book() -> MemoryBook:
    """An empty catalogue."""
    return MemoryBook()


@pytest.fixture
def orders(tmp_path: Path) -> Orders:
    """To the children of a worker on this media folder that perform `obey`."""
    return Orders(tmp_path)
