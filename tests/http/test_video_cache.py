"""What serving knows of films follows every change: by message, and without one after a few seconds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.support.http_client import HttpClient
from tests.support.videos import VideoLibrary
from tests.support.waiting import wait_until
from videoflix.errors import NotFound
from videoflix.media.video_cache import VideoCache
from videoflix.models import Video, VideoStatus
from videoflix.services import Services

SEGMENT = "/media/hls/1/480p/0000.ts"


async def test_a_deleted_video_is_gone_at_once(serving_path: str, admin: HttpClient, library: VideoLibrary) -> None:
    await library.add()
    assert (await admin.get(SEGMENT)).status == 200
    assert (await admin.get(SEGMENT)).status == 200
    assert (await admin.fetch("DELETE", "/api/admin/videos/1/")).status == 200
    assert (await admin.get(SEGMENT)).status == 404
    assert (await admin.get("/media/hls/1/master.m3u8")).status == 404


async def test_a_message_of_another_process_is_followed(
    admin: HttpClient, library: VideoLibrary, services: Services
) -> None:
    await library.add(is_done=False)
    answer = await admin.get(SEGMENT)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    await library.add_record(is_done=True)
    await services.engine.publish_video_changed(1)

    async def is_final() -> bool:
        return "immutable" in (await admin.get(SEGMENT)).headers["Cache-Control"]

    await wait_until(is_final, 2.0)


class Catalogue:
    """Stands for the collection: what it holds can be changed behind a cache's back, and it can be away."""

    def __init__(self) -> None:
        self.video: Video | None = Video(id=1, title="t", source="s", presentation={}, renditions=("480p",), segments=3)
        self.asked = 0
        self.is_away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, video_id: int) -> Video:
        self.asked += 1
        seen = self.video
        await self.gate.wait()
        if self.is_away:
            raise ConnectionError("away")
        if seen is None or video_id != 1:
            raise NotFound
        return seen


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_requests_that_come_together_ask_the_database_once(clock: Clock) -> None:
    catalogue = Catalogue()
    films = VideoCache(catalogue, clock)  # type: ignore[arg-type]
    await asyncio.gather(*(films.get(1) for _ in range(50)))
    for _ in range(100):
        assert films.get_cached(1)
    assert catalogue.asked == 1


async def test_who_comes_at_the_moment_when_a_video_is_loaded_gets_it(clock: Clock) -> None:
    """Whoever asks between the end of the loading and what asyncio calls after it."""
    catalogue = Catalogue()
    films = VideoCache(catalogue, clock)  # type: ignore[arg-type]
    for _ in range(6):
        catalogue.gate.clear()
        films._entries.clear()
        first = asyncio.ensure_future(films.get(1))
        await asyncio.sleep(0)
        catalogue.gate.set()
        for _ in range(6):
            assert (await asyncio.ensure_future(films.get(1))).id == 1
            films._entries.clear()
            await asyncio.sleep(0)
        await first


async def test_without_messages_a_deleted_video_dies_within_seconds(clock: Clock) -> None:
    catalogue = Catalogue()
    films = VideoCache(catalogue, clock)  # type: ignore[arg-type]
    await films.get(1)
    catalogue.video = None
    clock.now += 6  # somebody still watches
    assert films.get_cached(1)
    await settled()
    assert films.get_cached(1) is None
    with pytest.raises(NotFound):
        await films.get(1)


async def test_what_nobody_watched_for_long_is_looked_up_before_it_is_served(clock: Clock) -> None:
    catalogue = Catalogue()
    films = VideoCache(catalogue, clock)  # type: ignore[arg-type]
    await films.get(1)
    catalogue.video = None
    clock.now += 31
    assert films.get_cached(1) is None
    with pytest.raises(NotFound):
        await films.get(1)


async def test_a_change_while_a_video_is_loaded_is_not_lost(clock: Clock) -> None:
    catalogue = Catalogue()
    films = VideoCache(catalogue, clock)  # type: ignore[arg-type]
    catalogue.gate.clear()
    first = asyncio.ensure_future(films.get(1))
    await settled()
    assert catalogue.video is not None
    catalogue.video = replace(catalogue.video, status=VideoStatus.READY)
    films.refresh(1)
    catalogue.gate.set()
    await first
    await settled()
    known = films.get_cached(1)
    assert known is not None
    assert known.is_final


async def test_videos_play_on_while_the_database_is_away(clock: Clock) -> None:
    """Nothing can be deleted from a database that does not answer."""
    catalogue = Catalogue()
    films = VideoCache(catalogue, clock)  # type: ignore[arg-type]
    await films.get(1)
    catalogue.is_away = True
    for _ in range(20):
        clock.now += 4
        assert films.get_cached(1)
        assert await films.get(1)
        await settled()
    catalogue.is_away, catalogue.video = False, None
    clock.now += 6
    films.get_cached(1)
    await settled()
    assert films.get_cached(1) is None


async def test_an_unknown_video_is_not_asked_for_without_end(clock: Clock) -> None:
    catalogue = Catalogue()
    films = VideoCache(catalogue, clock)  # type: ignore[arg-type]
    for _ in range(10):
        with pytest.raises(NotFound):
            await films.get(2)
    assert catalogue.asked == 1
