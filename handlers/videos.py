"""The catalogue, as signed-in users see it."""

from __future__ import annotations

import asyncio

from handlers import cookies, views
from handlers.base import ApiHandler
from handlers.schemas import LimitQuery, VideoListQuery
from handlers.video_lists import VideoArrayHandler
from videoflix.catalogue.index import Query


class VideoListHandler(VideoArrayHandler):
    """GET /api/video/: the playable videos, newest first, or those that match a query."""

    metrics_label = "videos"

    async def get(self) -> None:
        """Respond with an array, as existing pages expect. `X-Total-Count` is the number of videos on all pages."""
        query = self.parse_query(VideoListQuery)
        if not self.get_cookie(cookies.CSRF):
            cookies.set_csrf_cookie(self, self.services.settings)
        if query == VideoListQuery():
            encoded = await self.services.index_sync.get_encoded_list(self.public_url())
            self.set_header("X-Total-Count", encoded.total)
            self.respond_with_encoded(encoded)
        else:
            await self._respond_with_page(query)

    async def _respond_with_page(self, query: VideoListQuery) -> None:
        index = await self.services.index_sync.get_index()
        video_ids = index.select_ids(Query(query.search, query.category, query.ordering))
        self.set_header("X-Total-Count", len(video_ids))
        end = None if query.limit is None else query.offset + query.limit
        await self.respond_with_rows(index.get_rows(video_ids[query.offset : end]))


class CategoriesHandler(ApiHandler):
    """GET /api/categories/: the categories of playable videos."""

    metrics_label = "videos"

    async def get(self) -> None:
        """Respond with the categories by name."""
        index = await self.services.index_sync.get_index()
        self.respond(views.category_list(index.list_categories()))


class VideoHandler(ApiHandler):
    """GET /api/video/<id>/: one video, playable or not."""

    metrics_label = "videos"

    async def get(self, video_id: str) -> None:
        """Respond with the details of the video, including this user's progress and rating."""
        video = await self.services.catalogue.get(int(video_id))
        state, progress = await asyncio.gather(
            self.services.viewing.get_user_state(self.identity.user_id, video.id),
            self.services.catalogue.get_encoding_progress([video]),
        )
        self.respond(views.video_details(video, progress.get(video.id), state, self.public_url()))


class SimilarHandler(VideoArrayHandler):
    """GET /api/video/<id>/similar/: videos with the same category or with distinctive words in common."""

    metrics_label = "videos"

    async def get(self, video_id: str) -> None:
        """Respond with the most similar videos first, without those that have nothing in common."""
        limit = self.parse_query(LimitQuery).limit
        await self.respond_with_videos((await self.services.viewing.list_similar(int(video_id)))[:limit])


class PopularHandler(VideoArrayHandler):
    """GET /api/popular/: videos by number of viewers and by rating."""

    metrics_label = "videos"

    async def get(self) -> None:
        """Respond with the most popular videos first, without those that nobody has watched or liked."""
        limit = self.parse_query(LimitQuery).limit
        await self.respond_with_videos((await self.services.viewing.list_popular())[:limit])
