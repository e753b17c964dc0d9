"""The catalogue as signed-in users see it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from handlers import cookies
from handlers.base import ApiHandler
from handlers.schemas import LimitQuery, VideoListQuery
from videoflix.catalogue import JobProgress
from videoflix.catalogue.index import Query, Row
from videoflix.catalogue.index_sync import EncodedList, encode_list
from videoflix.media import RESOLUTIONS
from videoflix.models import Video, VideoStatus, WatchProgress, isoformat
from videoflix.viewing import UserVideoState


class VideoArrayHandler(ApiHandler):
    """What shows videos."""

    metrics_label = "videos"
    _etag: str | None = None

    async def respond_with_videos(self, video_ids: Sequence[int]) -> None:
        """Those of the videos that are playable, as a bare array."""
        await self.respond_with_rows((await self.services.index_sync.get_index()).get_rows(video_ids))

    async def respond_with_rows(self, rows: Sequence[Row]) -> None:
        """A bare array."""
        self.respond_with_rendered(await encode_list(rows, self.public_url()))

    def respond_with_rendered(self, rendered: EncodedList) -> None:
        """JSON that was put together before, with its ETag."""
        self._etag = rendered.etag
        self.set_header("Content-Type", "application/json")
        self.finish(rendered.body)

    def compute_etag(self) -> str | None:
        """The one that came with the body, else Tornado's."""
        return self._etag or super().compute_etag()


class VideoListHandler(VideoArrayHandler):
    """GET /api/video/: the playable videos, newest first, or those that a query asks for."""

    async def get(self) -> None:
        """A bare array, as existing pages expect it; `X-Total-Count` says how many there are on all pages."""
        query = self.parse_query(VideoListQuery)
        if not self.get_cookie(cookies.CSRF):
            cookies.set_csrf_cookie(self, self.services.settings)
        if query == VideoListQuery():
            ready = await self.services.index_sync.get_encoded_list(self.public_url())
            self.set_header("X-Total-Count", ready.total)
            self.respond_with_rendered(ready)
        else:
            await self._respond_with_page(query)

    async def _respond_with_page(self, query: VideoListQuery) -> None:
        shelf = await self.services.index_sync.get_index()
        chosen = shelf.select_ids(Query(query.search, query.category, query.ordering))
        self.set_header("X-Total-Count", len(chosen))
        last = None if query.limit is None else query.offset + query.limit
        await self.respond_with_rows(shelf.get_rows(chosen[query.offset : last]))


class CategoriesHandler(ApiHandler):
    """GET /api/categories/: by name, each with how many playable videos it has."""

    metrics_label = "videos"

    async def get(self) -> None:
        """An object, so that more can be said one day."""
        shelf = await self.services.index_sync.get_index()
        found = [{"name": category.name, "count": category.count} for category in shelf.list_categories()]
        self.respond({"categories": found})


class VideoHandler(VideoArrayHandler):
    """GET /api/video/<id>/: all that is known of one video, playable or not yet."""

    async def get(self, video_id: str) -> None:
        """With what it is to this user."""
        video = await self.services.catalogue.get(int(video_id))
        own, work = await asyncio.gather(
            self.services.viewing.get_user_state(self.identity.user_id, video.id),
            self.services.catalogue.get_encoding_progress([video]),
        )
        shown = {
            **video_details(video, self.public_url()),
            "work": job_progress(video, work.get(video.id)),
            **user_video_state(own),
        }
        self.respond(shown)


class SimilarHandler(VideoArrayHandler):
    """GET /api/video/<id>/similar/: more like this, by category and by words that say something."""

    async def get(self, video_id: str) -> None:
        """The most similar first; none that has nothing in common."""
        limit = self.parse_query(LimitQuery).limit
        await self.respond_with_videos((await self.services.viewing.list_similar(int(video_id)))[:limit])


class PopularHandler(VideoArrayHandler):
    """GET /api/popular/: by how many people have begun a film and how they rated it."""

    async def get(self) -> None:
        """The most popular first; none that nobody has watched or liked."""
        limit = self.parse_query(LimitQuery).limit
        await self.respond_with_videos((await self.services.viewing.list_popular())[:limit])


def video_details(video: Video, public_url: str) -> Mapping[str, object]:
    """A video with where everything of it is."""
    hls = f"{public_url}/media/hls/{video.id}"
    return {
        "id": video.id,
        "created_at": isoformat(video.created_at),
        "title": video.title,
        "description": video.description,
        "thumbnail_url": f"{public_url}/media/thumbnails/{video.id}.jpg",
        "category": video.category,
        "status": video.status.value,
        "playable": video.is_playable,
        "duration": video.duration,
        "renditions": list(video.renditions),
        "master_url": f"{hls}/master.m3u8" if video.is_playable else None,
        "hls_urls": {name: f"{hls}/{name}/index.m3u8" for name in RESOLUTIONS} if video.is_playable else {},
        "storyboard": f"{hls}/storyboard/index.vtt" if has_storyboard(video) else None,
        "loudness": task_result(video, "audio", "loudness") or task_result(video, "loudness", "loudness"),
    }


def has_storyboard(video: Video) -> bool:
    """Return whether it was made: by its own task, or by the last one of an older version."""
    return bool(task_result(video, "storyboard", "pictures") or task_result(video, "finish", "storyboard"))


def task_result(video: Video, task: str, key: str) -> object:
    """What a task of the engine reported; None before it is done."""
    facts = video.task_results.get(task)
    return facts.get(key) if isinstance(facts, Mapping) else None


def job_progress(video: Video, progress: JobProgress | None) -> Mapping[str, object] | None:
    """How far the engine is with a film; null when it is not in work."""
    if progress is None or video.status is not VideoStatus.PROCESSING:
        return None
    return {"percent": min(99, int(progress.percent)), "seconds_left": progress.seconds_left}


def user_video_state(state: UserVideoState) -> Mapping[str, object]:
    """What the video is to this user, and how all users rated it."""
    return {
        "progress": playback_progress(state.progress) if state.progress else None,
        "rating": state.rating,
        "ratings": {"up": state.votes.ups, "down": state.votes.downs},
        "on_list": state.is_on_list,
    }


def playback_progress(progress: WatchProgress) -> Mapping[str, object]:
    """In seconds."""
    return {
        "position": progress.position,
        "duration": progress.duration,
        "finished": progress.finished,
        "updated_at": isoformat(progress.updated_at),
    }
