"""Search in memory: words, their beginnings, and the weights of fields."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from videoflix.catalogue.search import SearchIndex, extract_words, fold
from videoflix.models import ListedVideo


def listed(number: int, title: str = "", category: str = "", description: str = "") -> ListedVideo:
    return ListedVideo(
        id=number, title=title, category=category, description=description,
        created_at=datetime(2026, 1, 1, tzinfo=UTC), duration=60.0,
    )  # fmt: skip


VIDEOS = (
    listed(1, title="Space"), listed(2, title="Spaceship"), listed(3, category="Space"),
    listed(4, description="In space"), listed(5, title="Garden", description="No spaces"),
)  # fmt: skip


@pytest.fixture
def index() -> SearchIndex:
    """Return an index of VIDEOS."""
    index = SearchIndex()
    for video in VIDEOS:
        index.add(video)
    return index


def test_whole_words_and_better_fields_weigh_more(index: SearchIndex) -> None:
    weights = index.find(["space"])
    assert sorted(weights, key=weights.__getitem__, reverse=True) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("searched", "ids"),
    [
        ([], set()), (["garden", "space"], {5}), (["garden", "nothing"], set()), (["gard"], {5}), (["arden"], set()),
        (["garden"] * 10 + ["ignored"], {5}),
    ],
)  # fmt: skip
def test_every_searched_word_has_to_be_found(index: SearchIndex, searched: list[str], ids: set[int]) -> None:
    assert set(index.find(searched)) == ids


def test_a_removed_video_is_not_found(index: SearchIndex) -> None:
    index.remove(VIDEOS[4])
    assert index.find(["garden"]) == {}
    index.add(VIDEOS[4])
    assert set(index.find(["garden"])) == {5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Amélie", "amelie"), (" STRASSE ", "strasse"), ("Straße", "strasse"), ("Ærø", "aero"), ("Łódź", "lodz")],
)
def test_folding_removes_case_accents_and_outer_blanks(text: str, expected: str) -> None:
    assert fold(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Schindler's List", ("schindlers", "list")), ("one, One; ONE", ("one",)), ("東京", ("東", "京")),
        ("snake_case", ("snake", "case")), ("", ()),
    ],
)  # fmt: skip
def test_a_text_has_distinct_folded_words(text: str, expected: tuple[str, ...]) -> None:
    assert extract_words(text) == expected
