"""Lists, pages, orders and search, taken from memory."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoflix.catalogue.index import ORDERINGS, Category, Query, VideoIndex, encode_array
from videoflix.catalogue.search import extract_words, fold
from videoflix.models import ListedVideo


def video(number: int, title: str, category: str = "", description: str = "", duration: float = 60.0) -> ListedVideo:
    """The higher its number the newer it is."""
    created_at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
    return ListedVideo(
        id=number, title=title, category=category, description=description, created_at=created_at, duration=duration
    )


def shelf(*videos: ListedVideo) -> VideoIndex:
    made = VideoIndex()
    for one in videos:
        made.put(one)
    return made


FILMS = shelf(
    video(1, "Die Brücke", "Drama", "Sieben Jungen verteidigen eine Brücke.", 6000),
    video(2, "Amélie", "Comedy", "A waitress in Paris; the drama of small things.", 7200),
    video(3, "Paris, Texas", "Drama", "A man walks out of the desert.", 8700),
    video(4, "Schindler's List", "History", "Oskar Schindler saves more than a thousand.", 11700),
    video(5, "Drama Queens", "comedy", "Dramatic.", 3600),
    video(6, "東京物語", "Drama", "Tokyo Story", 8160),
    video(7, "Part 10", "", "", 60),
    video(8, "Part 2", "", "", 61),
)


def found(search: str, category: str = "", ordering: str = "") -> list[int]:
    return list(FILMS.select_ids(Query(search, category, ordering)))


@pytest.mark.parametrize(
    ("search", "ids"),
    [
        ("brucke", [1]),
        ("BRÜCKE", [1]),
        ("brücke", [1]),
        ("amelie", [2]),
        ("paris", [3, 2]),
        ("par", [8, 7, 3, 2]),
        ("schindlers", [4]),
        ("schindler's list", [4]),
        ("Schindler\u2019s", [4]),
        ("物語", [6]),
        ("tok", [6]),
        ("man desert", [3]),
        ("desert comedy", []),
        ("aris", []),
        ("?!", []),
        ("", [8, 7, 6, 5, 4, 3, 2, 1]),
    ],
)
def test_search_finds_words_and_their_beginnings_without_case_and_accents(search: str, ids: list[int]) -> None:
    assert found(search) == ids


def test_titles_rank_before_categories_before_descriptions() -> None:
    assert found("drama") == [5, 6, 3, 1, 2]
    ranked = shelf(
        video(1, "a", description="starling"),
        video(2, "b", description="star"),
        video(3, "c", "Starlight"),
        video(4, "d", "Star"),
        video(5, "Stars"),
        video(6, "Star"),
        video(7, "none"),
    )
    assert list(ranked.select_ids(Query("star"))) == [6, 5, 4, 3, 2, 1]


def test_a_category_is_meant_whatever_its_case() -> None:
    assert found("", "COMEDY") == [5, 2]
    assert found("paris", "drama") == [3]
    assert found("", "none like it") == []
    assert FILMS.list_categories() == [Category("Comedy", 2), Category("Drama", 3), Category("History", 1)]


def test_an_ordering_goes_both_ways_and_overrides_the_rank() -> None:
    assert found("", ordering="created_at") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found("drama", ordering="created_at") == [1, 2, 3, 5, 6]
    assert found("part", ordering="title") == [8, 7]
    assert found("", ordering="-duration")[:2] == [4, 3]
    for name in ORDERINGS:
        assert found("", ordering=name) == found("", ordering=f"-{name}")[::-1]


def test_what_changed_is_found_as_it_is_now_and_what_is_gone_is_not() -> None:
    changing = shelf(video(1, "Old title", "Drama"), video(2, "Other", "Drama"))
    assert list(changing.select_ids(Query("old"))) == [1]
    changing.put(video(1, "New title", "Comedy"))
    assert list(changing.select_ids(Query("old"))) == []
    assert list(changing.select_ids(Query("new"))) == [1]
    assert changing.list_categories() == [Category("Comedy", 1), Category("Drama", 1)]
    changing.discard(1)
    changing.discard(1)
    assert list(changing.select_ids(Query("title"))) == []
    assert changing.list_categories() == [Category("Drama", 1)]
    assert encode_array(changing.rows_newest_first(), "http://a").count(b'"id"') == 1
    for number, expected in ((3, [3, 2]), (1, [3, 2, 1])):
        changing.put(video(number, "Title"))
        assert list(changing.select_ids(Query())) == expected
    changing.put(replace(video(1, "Title"), created_at=datetime(2027, 1, 1, tzinfo=UTC)))
    assert list(changing.select_ids(Query())) == [1, 3, 2]


def test_the_version_differs_only_when_something_does() -> None:
    same = shelf(video(1, "One"))
    before = same.version
    same.put(video(1, "One"))
    same.discard(2)
    assert same.version == before
    same.put(video(1, "Uno"))
    assert same.version != before


def test_similar_videos_share_a_category_or_a_distinctive_word() -> None:
    films = shelf(
        video(1, "Alien", "Horror", "A crew meets a creature aboard their spaceship."),
        video(2, "The Thing", "Horror", "A creature hides among researchers with their dogs."),
        video(3, "Dark Star", "Comedy", "The crew of a spaceship and their beach ball."),
        video(4, "Heidi", "Family", "A girl with her grandfather among the mountains, their home."),
        video(5, "Saw", "Horror", "Two men wake up."),
    )
    alien = films.get(1)
    assert alien is not None
    assert films.find_similar(alien) == [2, 3, 5]
    heidi = films.get(4)
    assert heidi is not None
    assert films.find_similar(heidi) == []


def test_a_row_is_json_whatever_its_texts_and_the_server_are() -> None:
    hard = 'a"b\\c\u2028\n<3 \U0001f3ac'
    made = shelf(video(1, hard, hard, hard), video(2, "b"))
    read = json.loads(encode_array(made.rows_newest_first(), 'http://h"\\'))
    assert [item["id"] for item in read] == [2, 1]
    assert read[1]["title"] == read[1]["description"] == read[1]["category"] == hard
    assert read[1]["thumbnail_url"] == 'http://h"\\/media/thumbnails/1.jpg'
    [more] = json.loads(encode_array([row.with_fields(extra={"x": 1}) for row in made.get_rows([2])], "http://h"))
    assert list(more) == ["id", "created_at", "title", "description", "thumbnail_url", "category", "extra"]
    assert encode_array([], "http://h") == b"[]"


@given(st.text(max_size=60))
def test_every_word_of_a_text_finds_it(text: str) -> None:
    alone = shelf(video(1, text))
    for word in extract_words(text):
        assert list(alone.select_ids(Query(word))) == [1]
    assert fold(fold(text)) == fold(text)
