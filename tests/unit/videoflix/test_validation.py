"""videoflix.catalogue.validation: which texts are accepted, and the title of a file without one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoflix.catalogue.validation import default_title, validate_texts
from videoflix.errors import FieldErrors


def test_texts_are_stripped() -> None:
    assert validate_texts({"title": " A title ", "category": "\n"}) == {"title": "A title", "category": ""}


def test_all_invalid_fields_are_named_at_once() -> None:
    with pytest.raises(FieldErrors) as raised:
        validate_texts({"title": " ", "category": "<b>", "description": "fine\nover two lines"})
    assert set(raised.value.fields) == {"title", "category"}


@pytest.mark.parametrize(
    ("file_name", "title"),
    [
        ("My_video.mp4", "My video"),
        ("C:\\videos\\My_video.mp4", "My video"),
        ("<b>1 < 2.mkv", "b>1 < 2"),
        ("<<b.mkv", "b"),
        ("<\x00b.mkv", "b"),
        ("_.mkv", "Untitled"),
    ],
)
def test_a_title_is_made_from_the_file_name(file_name: str, title: str) -> None:
    assert default_title(file_name) == title


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_a_title_from_any_file_name_is_valid(file_name: str) -> None:
    title = default_title(file_name)
    assert validate_texts({"title": title}) == {"title": title}
