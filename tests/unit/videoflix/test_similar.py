"""Similar videos: what two videos must have in common, and how much it counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from videoflix.catalogue.search import SearchIndex
from videoflix.catalogue.similar import find_similar
from videoflix.models import ListedVideo


def listed(number: int, title: str, description: str = "") -> ListedVideo:
    return ListedVideo(
        id=number, title=title, category="", description=description,
        created_at=datetime(2026, 1, 1, tzinfo=UTC), duration=60.0,
    )  # fmt: skip


def similar_to_first(*videos: ListedVideo, same_category: Collection[int] = (), total: int = 0) -> Mapping[int, float]:
    index = SearchIndex()
    for video in videos:
        index.add(video)
    return find_similar(videos[0], same_category, total or len(videos), index)


def test_a_shared_word_counts_more_in_the_title() -> None:
    first, title, text = listed(1, "Lighthouse"), listed(2, "The lighthouse"), listed(3, "Sea", "A lighthouse")
    likeness = similar_to_first(first, title, text, total=30)
    assert likeness.keys() == {2, 3}
    assert likeness[2] > likeness[3] > 0


def test_the_category_counts_and_adds_up_with_words() -> None:
    likeness = similar_to_first(
        listed(1, "Lighthouse"), listed(2, "Lighthouse"), listed(3, "Sea"), same_category={1, 2, 3}
    )
    assert likeness.keys() == {2, 3}
    assert likeness[2] > likeness[3]


def test_a_rare_word_counts_more_than_a_common_one() -> None:
    rare, common = (
        similar_to_first(listed(1, "Harbour"), *(listed(number, "Harbour") for number in range(2, after)), total=100)[2]
        for after in (3, 10)
    )
    assert rare > common > 0


def test_short_filling_and_frequent_words_do_not_count() -> None:
    assert similar_to_first(listed(1, "The sea"), listed(2, "The sea")) == {}
    assert similar_to_first(listed(1, "Something about Mary"), listed(2, "About Tom")) == {}
    assert similar_to_first(*(listed(number, "Harbour") for number in range(1, 12)), total=100) == {}
