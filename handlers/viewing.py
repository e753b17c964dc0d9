"""What each user has watched, keeps on a list and thinks of films."""

from __future__ import annotations

from handlers.base import ApiHandler
from handlers.schemas import LimitQuery, ProgressReport, RatingBody
from handlers.videos import VideoArrayHandler, playback_progress
from videoflix.models import Rating


class ProgressHandler(ApiHandler):
    """GET, PUT, POST and DELETE /api/video/<id>/progress/: where this user is in a film."""

    metrics_label = "viewing"

    async def get(self, video_id: str) -> None:
        """`{"progress": null}` for a film that was not begun."""
        progress = await self.services.viewing.get_progress(self.identity.user_id, int(video_id))
        self.respond({"progress": playback_progress(progress) if progress else None})

    async def put(self, video_id: str) -> None:
        """Players send this every few seconds."""
        given = self.parse_body(ProgressReport)
        progress = await self.services.viewing.report_progress(
            self.identity.user_id, int(video_id), given.position, given.duration, given.finished
        )
        self.respond({"progress": playback_progress(progress)})

    async def post(self, video_id: str) -> None:
        """The same: what a page sends while it is closed (`navigator.sendBeacon`) is always a POST."""
        await self.put(video_id)

    async def delete(self, video_id: str) -> None:
        """The film counts as not begun."""
        await self.services.viewing.forget_progress(self.identity.user_id, int(video_id))
        self.respond({"progress": None})


class ContinueWatchingHandler(VideoArrayHandler):
    """GET /api/me/continue/: films that this user has begun and not finished."""

    metrics_label = "viewing"

    async def get(self) -> None:
        """The last watched first, each with its `progress`."""
        limit = self.parse_query(LimitQuery).limit
        begun = (await self.services.viewing.list_in_progress(self.identity.user_id))[:limit]
        shelf = await self.services.index_sync.get_index()
        await self.respond_with_rows(
            [
                row.with_fields(progress=playback_progress(progress))
                for progress in begun
                for row in shelf.get_rows([progress.video_id])
            ]
        )


class MyListHandler(VideoArrayHandler):
    """GET /api/me/list/: the films on this user's list."""

    metrics_label = "viewing"

    async def get(self) -> None:
        """The last added first."""
        await self.respond_with_videos(await self.services.viewing.get_my_list(self.identity.user_id))


class MyListEntryHandler(ApiHandler):
    """GET, PUT and DELETE /api/me/list/<id>/: whether a film is on this user's list."""

    metrics_label = "viewing"

    async def get(self, video_id: str) -> None:
        """Look."""
        self._respond(video_id, await self.services.viewing.is_on_list(self.identity.user_id, int(video_id)))

    async def put(self, video_id: str) -> None:
        """Put it on the list; safe to repeat."""
        await self.services.viewing.add_to_list(self.identity.user_id, int(video_id))
        self._respond(video_id, True)

    async def delete(self, video_id: str) -> None:
        """Take it off the list; safe to repeat."""
        await self.services.viewing.remove_from_list(self.identity.user_id, int(video_id))
        self._respond(video_id, False)

    def _respond(self, video_id: str, is_on_list: bool) -> None:
        self.respond({"id": int(video_id), "on_list": is_on_list})


class RatingHandler(ApiHandler):
    """PUT and DELETE /api/video/<id>/rating/: `{"rating": "up"}` or `"down"`."""

    metrics_label = "viewing"

    async def put(self, video_id: str) -> None:
        """Replaces what this user said before."""
        await self._rate(video_id, self.parse_body(RatingBody).rating)

    async def delete(self, video_id: str) -> None:
        """Take it back."""
        await self._rate(video_id, None)

    async def _rate(self, video_id: str, rating: Rating | None) -> None:
        votes = await self.services.viewing.rate(self.identity.user_id, int(video_id), rating)
        self.respond({"rating": rating, "ratings": {"up": votes.ups, "down": votes.downs}})
