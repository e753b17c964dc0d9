"""What each user has watched, keeps on a list and thinks of films."""

from __future__ import annotations

from handlers.base import ApiHandler
from handlers.bodies import CountQuery, ProgressReport, RatingGiven
from handlers.videos import VideosHandler, shown_progress
from videoflix.models import Rating


class ProgressHandler(ApiHandler):
    """GET, PUT, POST and DELETE /api/video/<id>/progress/: where this user is in a film."""

    metrics_label = "viewing"

    async def get(self, video_id: str) -> None:
        """`{"progress": null}` for a film that was not begun."""
        progress = await self.services.viewing.progress(self.identity.user_id, int(video_id))
        self.answer({"progress": shown_progress(progress) if progress else None})

    async def put(self, video_id: str) -> None:
        """Players send this every few seconds."""
        given = self.body_as(ProgressReport)
        progress = await self.services.viewing.report(
            self.identity.user_id, int(video_id), given.position, given.duration, given.finished
        )
        self.answer({"progress": shown_progress(progress)})

    async def post(self, video_id: str) -> None:
        """The same: what a page sends while it is closed (`navigator.sendBeacon`) is always a POST."""
        await self.put(video_id)

    async def delete(self, video_id: str) -> None:
        """The film counts as not begun."""
        await self.services.viewing.forget_progress(self.identity.user_id, int(video_id))
        self.answer({"progress": None})


class ContinueHandler(VideosHandler):
    """GET /api/me/continue/: films that this user has begun and not finished."""

    metrics_label = "viewing"

    async def get(self) -> None:
        """The last watched first, each with its `progress`."""
        limit = self.query_as(CountQuery).limit
        begun = (await self.services.viewing.begun(self.identity.user_id))[:limit]
        shelf = await self.services.listing.shelf()
        await self.answer_rows(
            [
                row.with_more(progress=shown_progress(progress))
                for progress in begun
                for row in shelf.rows([progress.video_id])
            ]
        )


class MyListHandler(VideosHandler):
    """GET /api/me/list/: the films on this user's list."""

    metrics_label = "viewing"

    async def get(self) -> None:
        """The last added first."""
        await self.answer_with(await self.services.viewing.my_list(self.identity.user_id))


class MyListEntryHandler(ApiHandler):
    """GET, PUT and DELETE /api/me/list/<id>/: whether a film is on this user's list."""

    metrics_label = "viewing"

    async def get(self, video_id: str) -> None:
        """Look."""
        self._answer(video_id, await self.services.viewing.is_on_list(self.identity.user_id, int(video_id)))

    async def put(self, video_id: str) -> None:
        """Put it on the list; safe to repeat."""
        await self.services.viewing.put_on_list(self.identity.user_id, int(video_id))
        self._answer(video_id, True)

    async def delete(self, video_id: str) -> None:
        """Take it off the list; safe to repeat."""
        await self.services.viewing.take_off_list(self.identity.user_id, int(video_id))
        self._answer(video_id, False)

    def _answer(self, video_id: str, is_on_list: bool) -> None:
        self.answer({"id": int(video_id), "on_list": is_on_list})


class RatingHandler(ApiHandler):
    """PUT and DELETE /api/video/<id>/rating/: `{"rating": "up"}` or `"down"`."""

    metrics_label = "viewing"

    async def put(self, video_id: str) -> None:
        """Replaces what this user said before."""
        await self._rate(video_id, self.body_as(RatingGiven).rating)

    async def delete(self, video_id: str) -> None:
        """Take it back."""
        await self._rate(video_id, None)

    async def _rate(self, video_id: str, rating: Rating | None) -> None:
        votes = await self.services.viewing.rate(self.identity.user_id, int(video_id), rating)
        self.answer({"rating": rating, "ratings": {"up": votes.ups, "down": votes.downs}})
