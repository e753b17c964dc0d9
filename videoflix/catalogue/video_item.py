"""The JSON shape of a video in lists, as published: pages rely on exactly these keys.

It lives here and not with the other shapes of the API, because the index keeps its videos in this form.
"""

from __future__ import annotations

from typing import TypedDict

from videoflix.models import ListedVideo, isoformat


class VideoItem(TypedDict):
    """A video in a list. `description` and `category` are never null, `thumbnail_url` is absolute."""

    id: int
    created_at: str
    title: str
    description: str
    thumbnail_url: str
    category: str


def video_item(video: ListedVideo, base_url: str) -> VideoItem:
    """Return a video as lists show it. `base_url` is this server's (`https://host`)."""
    return {
        "id": video.id,
        "created_at": isoformat(video.created_at),
        "title": video.title,
        "description": video.description,
        "thumbnail_url": thumbnail_url(video.id, base_url),
        "category": video.category,
    }


def thumbnail_url(video_id: int, base_url: str) -> str:
    """Return the URL of a video's thumbnail."""
    return f"{base_url}/media/thumbnails/{video_id}.jpg"
