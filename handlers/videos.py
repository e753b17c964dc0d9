"""The catalogue as signed-in users see it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from handlers import cookies
from handlers.base import ApiHandler
from handlers.bodies import CountQuery, ListQuery
from videoflix.catalogue.listing import Ready, ready_made
from videoflix.catalogue.shelf import Query, Row
from videoflix.media.names import RESOLUTIONS
from videoflix.models import Progress, Video, VideoStatus, isoformat
from videoflix.ports import Work
from videoflix.viewing import Own


class VideosHandler(ApiHandler):
    """What shows videos."""

    metrics_label = "videos"
    _etag: str | None = None

    async def answer_with(self, video_ids: Sequence[int]) -> None:
        """Those of the videos that are playable, as a bare array."""
        await self.answer_rows((await self.services.listing.shelf()).rows(video_ids))

    async def answer_rows(self, rows: Sequence[Row]) -> None:
        """A bare array."""
        self.answer_ready(await ready_made(rows, self.public_url()))

    def answer_ready(self, ready: Ready) -> None:
        """JSON that was put together before, with its ETag."""
        self._etag = ready.etag
        self.set_header("Content-Type", "application/json")
        self.finish(ready.body)

    def compute_etag(self) -> str | None:
        """The one that came with the body, else Tornado's."""
        return self._etag or super().compute_etag()


class VideoListHandler(VideosHandler):
    """GET /api/video/: the playable videos, newest first, or those that a query asks for."""

    async def get(self) -> None:
        """A bare array, as existing pages expect it; `X-Total-Count` says how many there are on all pages."""
        query = self.query_as(ListQuery)
        if not self.get_cookie(cookies.CSRF):
            cookies.give_csrf(self, self.services.settings)
        if query == ListQuery():
            ready = await self.services.listing.whole(self.public_url())
            self.set_header("X-Total-Count", ready.total)
            self.answer_ready(ready)
        else:
            await self._answer_page(query)

    async def _answer_page(self, query: ListQuery) -> None:
        shelf = await self.services.listing.shelf()
        chosen = shelf.choose(Query(query.search, query.category, query.ordering))
        self.set_header("X-Total-Count", len(chosen))
        last = None if query.limit is None else query.offset + query.limit
        await self.answer_rows(shelf.rows(chosen[query.offset : last]))


class CategoriesHandler(ApiHandler):
    """GET /api/categories/: by name, each with how many playable videos it has."""

    metrics_label = "videos"

    async def get(self) -> None:
        """An object, so that more can be said one day."""
        shelf = await self.services.listing.shelf()
        found = [{"name": category.name, "count": category.count} for category in shelf.categories()]
        self.answer({"categories": found})


class VideoHandler(VideosHandler):
    """GET /api/video/<id>/: all that is known of one video, playable or not yet."""

    async def get(self, video_id: str) -> None:
        """With what it is to this user."""
        video = await self.services.catalogue.get(int(video_id))
        own, work = await asyncio.gather(
            self.services.viewing.own(self.identity.user_id, video.id), self.services.catalogue.work([video])
        )
        shown = {**detailed(video, self.public_url()), "work": shown_work(video, work.get(video.id)), **shown_own(own)}
        self.answer(shown)


class SimilarHandler(VideosHandler):
    """GET /api/video/<id>/similar/: more like this, by category and by words that say something."""

    async def get(self, video_id: str) -> None:
        """The most similar first; none that has nothing in common."""
        limit = self.query_as(CountQuery).limit
        await self.answer_with((await self.services.viewing.similar(int(video_id)))[:limit])


class PopularHandler(VideosHandler):
    """GET /api/popular/: by how many people have begun a film and how they rated it."""

    async def get(self) -> None:
        """The most popular first; none that nobody has watched or liked."""
        limit = self.query_as(CountQuery).limit
        await self.answer_with((await self.services.viewing.popular())[:limit])


def detailed(video: Video, public_url: str) -> Mapping[str, object]:
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
        "playable": video.playable,
        "duration": video.duration,
        "renditions": list(video.renditions),
        "master_url": f"{hls}/master.m3u8" if video.playable else None,
        "hls_urls": {name: f"{hls}/{name}/index.m3u8" for name in RESOLUTIONS} if video.playable else {},
        "storyboard": f"{hls}/storyboard/index.vtt" if has_storyboard(video) else None,
        "loudness": found_out(video, "audio", "loudness") or found_out(video, "loudness", "loudness"),
    }


def has_storyboard(video: Video) -> bool:
    """Return whether it was made: by its own task, or by the last one of an older version."""
    return bool(found_out(video, "storyboard", "pictures") or found_out(video, "finish", "storyboard"))


def found_out(video: Video, task: str, fact: str) -> object:
    """What a task of the engine reported; None before it is done."""
    facts = video.facts.get(task)
    return facts.get(fact) if isinstance(facts, Mapping) else None


def shown_work(video: Video, work: Work | None) -> Mapping[str, object] | None:
    """How far the engine is with a film; null when it is not in work."""
    if work is None or video.status is not VideoStatus.PROCESSING:
        return None
    return {"percent": min(99, int(work.percent)), "seconds_left": work.seconds_left}


def shown_own(own: Own) -> Mapping[str, object]:
    """What the video is to this user, and how all users rated it."""
    return {
        "progress": shown_progress(own.progress) if own.progress else None,
        "rating": own.rating,
        "ratings": {"up": own.votes.ups, "down": own.votes.downs},
        "on_list": own.is_on_list,
    }


def shown_progress(progress: Progress) -> Mapping[str, object]:
    """In seconds."""
    return {
        "position": progress.position,
        "duration": progress.duration,
        "finished": progress.finished,
        "updated_at": isoformat(progress.updated_at),
    }
