"""videoflix/catalogue/video_item.py: the encoded rows of the index decode to exactly the declared shape."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from videoflix.catalogue.index import VideoIndex, encode_array
from videoflix.catalogue.video_item import VideoItem, video_item
from videoflix.models import ListedVideo

BASE_URL = 'https://videos.example/"quoted"'
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(title=texts, description=texts, category=texts)
@example(title='"thumbnail_url":"', description='x","thumbnail_url":"y', category='\\","thumbnail_url":"')
@example(title="thumbnail_url", description="x\\", category='"')
def test_an_encoded_row_is_the_item_with_the_base_url_inserted(title: str, description: str, category: str) -> None:
    video = ListedVideo(
        id=7,
        title=title,
        description=description,
        category=category,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        duration=60.0,
    )
    index = VideoIndex()
    index.put(video)
    assert json.loads(encode_array(index.get_rows([7, 7]), BASE_URL)) == [video_item(video, BASE_URL)] * 2


def test_the_keys_of_an_item_are_those_that_pages_rely_on() -> None:
    keys = ["id", "created_at", "title", "description", "thumbnail_url", "category"]
    assert list(VideoItem.__annotations__) == keys
