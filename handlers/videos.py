"""The catalogue as signed-in users see it."""

from __future__ import annotations

from handlers.base import ApiHandler
from videoflix.models import Video, isoformat


class VideoListHandler(ApiHandler):
    """GET /api/video/: the playable videos, newest first."""

    async def get(self) -> None:
        """A bare array, as existing pages expect it."""
        videos = await self.services.catalogue.playable()
        self.answer([listed(video, self.public_url()) for video in videos])

    def public_url(self) -> str:
        """The setting, else the host that the client spoke to."""
        return self.services.settings.public_url or f"{self.request.protocol}://{self.request.host}"


def listed(video: Video, public_url: str) -> dict[str, object]:
    """A video as the list shows it: exactly these keys, none of them null."""
    return {
        "id": video.id,
        "created_at": isoformat(video.created_at),
        "title": video.title,
        "description": video.description,
        "thumbnail_url": f"{public_url}/media/thumbnails/{video.id}.jpg",
        "category": video.category,
    }
