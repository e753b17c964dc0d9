"""Each user's progress, list and ratings."""

from __future__ import annotations

from handlers import views
from handlers.base import ApiHandler
from handlers.schemas import LimitQuery, ProgressReport, RatingBody
from handlers.video_lists import VideoArrayHandler
from videoflix.models import Rating


class ProgressHandler(ApiHandler):
    """GET, PUT, POST and DELETE /api/video/<id>/progress/: how far this user has watched a video."""

    metrics_label = "viewing"

    async def get(self, video_id: str) -> None:
        """Respond with the progress, which is null if there is none."""
        progress = await self.services.viewing.get_progress(self.identity.user_id, int(video_id))
        self.respond(views.progress_result(progress))

    async def put(self, video_id: str) -> None:
        """Save the progress. Players send it every few seconds."""
        report = self.parse_body(ProgressReport)
        progress = await self.services.viewing.report_progress(
            self.identity.user_id, int(video_id), report.position, report.duration, report.finished
        )
        self.respond(views.progress_result(progress))

    async def post(self, video_id: str) -> None:
        """Save the progress, like PUT: what a page sends while it is closed (`navigator.sendBeacon`) is a POST."""
        await self.put(video_id)

    async def delete(self, video_id: str) -> None:
        """Forget the progress."""
        await self.services.viewing.forget_progress(self.identity.user_id, int(video_id))
        self.respond(views.progress_result(None))


class ContinueWatchingHandler(VideoArrayHandler):
    """GET /api/me/continue/: videos that this user has started and not finished."""

    metrics_label = "viewing"

    async def get(self) -> None:
        """Respond with an array of `ContinueWatchingItem`, the last watched first."""
        limit = self.parse_query(LimitQuery).limit
        in_progress = (await self.services.viewing.list_in_progress(self.identity.user_id))[:limit]
        index = await self.services.index_sync.get_index()
        await self.respond_with_rows(
            [
                row.with_fields(**views.progress_result(progress))
                for progress in in_progress
                for row in index.get_rows([progress.video_id])
            ]
        )


class MyListHandler(VideoArrayHandler):
    """GET /api/me/list/: the videos on this user's list."""

    metrics_label = "viewing"

    async def get(self) -> None:
        """Respond with the videos, the last added first."""
        await self.respond_with_videos(await self.services.viewing.get_my_list(self.identity.user_id))


class MyListEntryHandler(ApiHandler):
    """GET, PUT and DELETE /api/me/list/<id>/: whether a video is on this user's list."""

    metrics_label = "viewing"

    async def get(self, video_id: str) -> None:
        """Respond with whether the video is on the list."""
        is_on_list = await self.services.viewing.is_on_list(self.identity.user_id, int(video_id))
        self.respond(views.my_list_entry(int(video_id), is_on_list))

    async def put(self, video_id: str) -> None:
        """Add the video to the list. Idempotent."""
        await self.services.viewing.add_to_list(self.identity.user_id, int(video_id))
        self.respond(views.my_list_entry(int(video_id), is_on_list=True))

    async def delete(self, video_id: str) -> None:
        """Remove the video from the list. Idempotent."""
        await self.services.viewing.remove_from_list(self.identity.user_id, int(video_id))
        self.respond(views.my_list_entry(int(video_id), is_on_list=False))


class RatingHandler(ApiHandler):
    """PUT and DELETE /api/video/<id>/rating/: `{"rating": "up"}` or `"down"`."""

    metrics_label = "viewing"

    async def put(self, video_id: str) -> None:
        """Rate the video, replacing an earlier rating of this user."""
        await self._rate(video_id, self.parse_body(RatingBody).rating)

    async def delete(self, video_id: str) -> None:
        """Remove this user's rating."""
        await self._rate(video_id, None)

    async def _rate(self, video_id: str, rating: Rating | None) -> None:
        votes = await self.services.viewing.rate(self.identity.user_id, int(video_id), rating)
        self.respond(views.rating_result(rating, votes))
