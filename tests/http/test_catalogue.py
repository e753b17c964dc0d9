"""handlers/videos.py and videoflix/catalogue: lists, search and details, up to date soon after every change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path

import pymongo
import pytest
import redis
from pydantic import SecretStr
from tornado.testing import bind_unused_port

from handlers.routes import make_application
from handlers.server import Server
from tests.support.event_loop import RunAsync
from tests.support.http_client import HttpClient
from tests.support.videos import make_listed_video, make_video
from tests.support.waiting import wait_until
from videoflix.bootstrap.services import open_services
from videoflix.catalogue.index import Query
from videoflix.catalogue.index_sync import IndexSync
from videoflix.embedded import processes, servers
from videoflix.models import ListedVideo, VideoStatus
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.videos import VideoStore


@pytest.fixture
def other_client(run_async: RunAsync, settings: Settings, admin: HttpClient) -> Iterator[HttpClient]:
    """A client that is logged in to a second web process, with database clients, index and engine of its own."""
    stack = AsyncExitStack()
    services = run_async(lambda: stack.enter_async_context(open_services(settings)))
    socket, port = bind_unused_port()
    server = Server(make_application(services))
    server.add_sockets([socket])
    with closing(HttpClient(port)) as client:
        client.cookies.update(admin.cookies)
        yield client
    server.stop()
    run_async(server.close_all_connections)
    run_async(stack.aclose)


async def titles(client: HttpClient, query: str = "") -> list[str]:
    answer = await client.get(f"/api/video/{query}")
    assert answer.status == 200, answer.body
    return [video["title"] for video in answer.json]


async def test_the_list_has_exactly_these_keys_and_the_newest_video_first(
    admin: HttpClient, videos: VideoStore
) -> None:
    await videos.add(make_video(1, "Eins", description='Er sagte: "Ä\\"', category="Drama"))
    await videos.add(make_video(2, "Zwei"))
    answer = await admin.get("/api/video")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Total-Count"] == "2"
    assert answer.json == [
        {
            "id": 2,
            "created_at": "2026-01-01T02:00:00.000Z",
            "title": "Zwei",
            "description": "",
            "thumbnail_url": f"{admin.url}/media/thumbnails/2.jpg",
            "category": "",
        },
        {
            "id": 1,
            "created_at": "2026-01-01T01:00:00.000Z",
            "title": "Eins",
            "description": 'Er sagte: "Ä\\"',
            "thumbnail_url": f"{admin.url}/media/thumbnails/1.jpg",
            "category": "Drama",
        },
    ]


async def test_only_playable_videos_are_listed(admin: HttpClient, videos: VideoStore) -> None:
    await videos.add(make_video(1, "not probed yet", status=VideoStatus.PROCESSING, presentation=None))
    await videos.add(make_video(2, "in work", status=VideoStatus.PROCESSING))
    await videos.add(make_video(3, "failed", status=VideoStatus.FAILED))
    assert await titles(admin) == ["in work"]


async def test_the_catalogue_needs_a_session(client: HttpClient) -> None:
    for path in ("video/", "video/1/", "video/1/similar/", "categories", "popular", "me/list/", "me/continue/"):
        answer = await client.get(f"/api/{path}")
        assert (answer.status, answer.json["detail"]) == (401, "Authentication credentials were not provided.")


async def test_thumbnail_urls_have_the_requested_host_or_the_public_url(
    admin: HttpClient, services: Services, videos: VideoStore
) -> None:
    await videos.add(make_video(1))
    hosts = ("videos.example", "videos.example:8443", "[::1]:8000", *(f"h{number}.example" for number in range(6)))
    for host in (*hosts, hosts[0]):
        [video] = (await admin.get("/api/video/", Host=host)).json
        assert video["thumbnail_url"] == f"http://{host}/media/thumbnails/1.jpg"
    encoded = await services.index_sync.get_encoded_list("https://videos.example")
    assert json.loads(encoded.body)[0]["thumbnail_url"] == "https://videos.example/media/thumbnails/1.jpg"


async def test_an_unchanged_list_is_304(admin: HttpClient, videos: VideoStore) -> None:
    await videos.add(make_video(1))
    first = await admin.get("/api/video/")
    again = await admin.get("/api/video/", If_None_Match=first.headers["ETag"])
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    await admin.fetch("PATCH", "/api/admin/videos/1/", {"title": "Another"})
    changed = await admin.get("/api/video/", If_None_Match=first.headers["ETag"])
    assert (changed.status, changed.json[0]["title"]) == (200, "Another")
    assert changed.headers["ETag"] != first.headers["ETag"]


async def test_the_etag_is_the_same_in_every_process(
    admin: HttpClient, other_client: HttpClient, videos: VideoStore
) -> None:
    await videos.add(make_video(1))
    here = await admin.get("/api/video/", Host="videos.example")
    there = await other_client.get("/api/video/", Host="videos.example")
    assert (here.body, here.headers["ETag"]) == (there.body, there.headers["ETag"])


async def test_the_list_sets_the_cookie_that_pages_need_to_log_out(admin: HttpClient) -> None:
    del admin.cookies["csrftoken"]
    answer = await admin.get("/api/video/")
    [cookie] = answer.headers.get_list("Set-Cookie")
    assert cookie.startswith("csrftoken=")
    assert "HttpOnly" not in cookie
    assert "Set-Cookie" not in (await admin.get("/api/video/")).headers


async def test_a_change_reaches_every_process_within_a_second(
    admin: HttpClient, other_client: HttpClient, videos: VideoStore
) -> None:
    await videos.add(make_video(1, "Before"))
    assert await titles(admin) == await titles(other_client) == ["Before"]

    async def is_there(expected: list[str]) -> bool:
        return await titles(other_client) == expected

    answer = await admin.fetch("PATCH", "/api/admin/videos/1/", {"title": " After ", "category": "Drama"})
    assert (answer.status, answer.json["title"], answer.json["category"]) == (200, "After", "Drama")
    assert await titles(admin) == await titles(admin, "?category=drama") == ["After"]
    assert await wait_until(lambda: is_there(["After"])) < 1
    assert (await admin.fetch("DELETE", "/api/admin/videos/1/")).status == 200
    assert await titles(admin) == []
    assert await wait_until(lambda: is_there([])) < 1


async def test_a_change_that_the_engine_publishes_is_seen(
    admin: HttpClient, videos: VideoStore, services: Services
) -> None:
    await videos.add(make_video(1, presentation=None, status=VideoStatus.PROCESSING))
    assert await titles(admin) == []
    await videos.set_presentation(1, {"version": 1}, ["480p"], 3, 12.0)
    await services.engine.publish_video_changed(1)

    async def is_listed() -> bool:
        return await titles(admin) == ["Film 1"]

    await wait_until(is_listed)


async def test_a_change_whose_message_was_lost_is_seen_at_the_next_reload(
    services: Services, videos: VideoStore
) -> None:
    await videos.add(make_video(1))
    await videos.list_all()  # connects first: a load that takes long is not repeated soon
    index_sync = IndexSync(videos, services.engine, max_age_s=0.05)
    assert list((await index_sync.get_index()).ids()) == [1]
    await videos.add(make_video(2))
    await videos.delete(1)

    async def is_right() -> bool:
        return list((await index_sync.get_index()).ids()) == [2]

    await wait_until(is_right)
    await index_sync.close()


async def test_a_stale_list_is_served_while_the_database_is_away(
    services: Services, videos: VideoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[None] = []

    async def away(*_: object) -> AsyncIterator[ListedVideo]:
        """Fail like the driver without a server."""
        tried.append(None)
        raise ConnectionError("no database")
        yield

    await videos.add(make_video(1))
    monkeypatch.setattr("videoflix.catalogue.index_sync._RETRY_DELAY_S", 0.02)
    index_sync = IndexSync(videos, services.engine, max_age_s=0.02)

    async def shows(expected: list[int]) -> bool:
        try:
            return sorted((await index_sync.get_index()).ids()) == expected
        except ConnectionError:  # the first failure is remembered for a moment
            return False

    with monkeypatch.context() as context:
        context.setattr(VideoStore, "iter_playable", away)
        for _ in range(2):
            with pytest.raises(ConnectionError):
                await index_sync.get_index()
    await wait_until(partial(shows, [1]))
    await videos.add(make_video(2))
    with monkeypatch.context() as context:
        context.setattr(VideoStore, "iter_playable", away)
        tried.clear()
        while len(tried) < 3:
            assert await shows([1])
            await asyncio.sleep(0.01)
    await wait_until(partial(shows, [1, 2]))
    await index_sync.close()


async def test_the_index_is_reloaded_after_an_outage_of_redis(
    admin: HttpClient, videos: VideoStore, services: Services, redis_url: str
) -> None:
    await videos.add(make_video(1))
    assert await titles(admin) == ["Film 1"]
    await asyncio.sleep(0.2)  # the first subscription is confirmed
    await videos.add(make_video(2))
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.client_kill_filter(_type="pubsub")

    async def is_right() -> bool:
        return await titles(admin) == ["Film 2", "Film 1"]

    await wait_until(is_right)


async def test_videos_are_changed_and_shown_while_redis_is_away(
    settings: Settings, videos: VideoStore, tmp_path: Path
) -> None:
    await videos.add(make_video(1, "Before", status=VideoStatus.PROCESSING))
    with processes.run_server(servers.make_redis_server(tmp_path)) as server:
        opened = open_services(settings.model_copy(update={"redis_url": SecretStr(server.url)}))
        services = await opened.__aenter__()
        index = await services.index_sync.get_index()
    try:
        changed = await services.catalogue.update(1, {"title": "After"})
        assert (changed.title, list(index.select_ids(Query("after")))) == ("After", [1])
        assert await services.catalogue.get_encoding_progress([changed]) == {}
        assert await services.viewing.report_progress(1, 1, 5.0, None, None) == await services.viewing.get_progress(
            1, 1
        )
    finally:
        await opened.__aexit__(None, None, None)


async def test_videos_of_an_older_version_are_listed_and_found(
    admin: HttpClient, settings: Settings, videos: VideoStore
) -> None:
    await videos.add(make_video(1, "Older", category="Drama"))
    with pymongo.MongoClient(settings.mongodb_uri.get_secret_value()) as client:
        documents = client[settings.mongodb_db]["videos"]
        documents.update_one({"_id": 1}, {"$unset": {"description": 1, "duration": 1}, "$set": {"category": None}})
    [video] = (await admin.get("/api/video/?search=old")).json
    assert (video["title"], video["description"], video["category"]) == ("Older", "", "")


async def test_texts_that_pages_cannot_show_are_refused(admin: HttpClient, videos: VideoStore) -> None:
    await videos.add(make_video(1, "Stays"))
    too_long = {"description": ["Ensure this field has no more than 5000 characters."]}
    markup = {"title": ["Markup is not allowed: leave out the < before a letter, /, ! or ?."]}
    for texts, errors in (
        ({"title": " "}, {"title": ["This field may not be blank."]}),
        ({"title": None}, {"title": ["Not a valid string."]}),
        ({"title": "\ud800"}, {"title": ["Unpaired surrogates are not allowed."]}),
        ({"title": "<b>x", "description": "d" * 5001}, {**markup, **too_long}),
    ):
        answer = await admin.fetch("PATCH", "/api/admin/videos/1/", texts)
        assert (answer.status, answer.json) == (400, errors)
    assert await titles(admin) == ["Stays"]


async def test_an_empty_change_does_nothing_and_an_unknown_video_is_404(admin: HttpClient, videos: VideoStore) -> None:
    await videos.add(make_video(1, "Stays", description="d"))
    answer = await admin.fetch("PATCH", "/api/admin/videos/1/", {"unknown": 1})
    assert (answer.status, answer.json["title"], answer.json["description"]) == (200, "Stays", "d")
    assert (await admin.fetch("PATCH", "/api/admin/videos/2/", {"title": "x"})).status == 404
    assert (await admin.fetch("PATCH", "/api/admin/videos/2/", {})).status == 404


async def test_one_video_is_shown_with_all_details(admin: HttpClient, videos: VideoStore) -> None:
    results = {"audio": {"loudness": -23.5}, "finish": {"storyboard": {"pictures": 25}}}
    await videos.add(make_video(1, "One", category="Drama", renditions=("480p", "720p"), task_results=results))
    hls = f"{admin.url}/media/hls/1"
    assert (await admin.get("/api/video/1")).json == {
        "id": 1,
        "created_at": "2026-01-01T01:00:00.000Z",
        "title": "One",
        "description": "",
        "thumbnail_url": f"{admin.url}/media/thumbnails/1.jpg",
        "category": "Drama",
        "status": "ready",
        "playable": True,
        "duration": 100.0,
        "renditions": ["480p", "720p"],
        "master_url": f"{hls}/master.m3u8",
        "hls_urls": {name: f"{hls}/{name}/index.m3u8" for name in ("480p", "720p", "1080p")},
        "storyboard": f"{hls}/storyboard/index.vtt",
        "loudness": -23.5,
        "work": None,
        "progress": None,
        "rating": None,
        "ratings": {"up": 0, "down": 0},
        "on_list": False,
    }


async def test_a_video_in_work_is_shown_with_its_progress(
    admin: HttpClient, videos: VideoStore, services: Services
) -> None:
    await videos.add(make_video(1, status=VideoStatus.PROCESSING, presentation=None, renditions=(), duration=0.0))
    await services.engine.start(1)
    details = (await admin.get("/api/video/1/")).json
    assert (details["status"], details["playable"]) == ("processing", False)
    assert details["work"] == {"percent": 0, "seconds_left": None}
    assert (details["master_url"], details["hls_urls"]) == (None, {})


async def test_an_unknown_video_is_not_found(admin: HttpClient, videos: VideoStore) -> None:
    await videos.add(make_video(1))
    for path in ("2/", "2/similar/", "2/progress/", "999999999999999/", "x/"):
        answer = await admin.get(f"/api/video/{path}")
        assert (answer.status, answer.json) == (404, {"detail": "Not found."})


async def test_pages_of_a_search_come_with_the_total(admin: HttpClient, videos: VideoStore) -> None:
    for number in range(1, 6):
        await videos.add(make_video(number, f"Part {number}", category="Drama" if number % 2 else ""))
    await videos.add(make_video(6, "Else"))
    for query, total, expected in (
        ("?search=part&limit=2", "5", ["Part 5", "Part 4"]),
        ("?search=part&limit=2&offset=4", "5", ["Part 1"]),
        ("?search=part&offset=5", "5", []),
        ("?limit=1&offset=0", "6", ["Else"]),
        ("?category=DRAMA&ordering=created_at&limit=2", "3", ["Part 1", "Part 3"]),
        (
            "?search=&category=&ordering=&limit=&page=7",
            "6",
            ["Else", *(f"Part {number}" for number in range(5, 0, -1))],
        ),
        ("?search=no+such+film", "0", []),
    ):
        answer = await admin.get(f"/api/video/{query}", Origin="http://localhost:5500")
        assert ([video["title"] for video in answer.json], answer.headers["X-Total-Count"]) == (expected, total)
        assert "x-total-count" in answer.headers["Access-Control-Expose-Headers"]
    assert (await admin.get("/api/categories")).json == {"categories": [{"name": "Drama", "count": 3}]}


async def test_an_invalid_query_is_refused_with_every_bad_field(admin: HttpClient) -> None:
    answer = await admin.get(f"/api/video/?ordering=password&limit=0&offset=-1&search={'s' * 201}&category={'c' * 101}")
    assert answer.status == 400
    assert sorted(answer.json) == ["category", "limit", "offset", "ordering", "search"]
    assert answer.json["ordering"] == ["Use one of created_at, title, duration, with - before it for descending order."]
    assert "password" not in answer.body.decode()
    for query in ("limit=1001", "limit=many", "offset=1.5", "ordering=--title", "limit=99999999999999999999999"):
        assert (await admin.get(f"/api/video/?{query}")).status == 400
    assert list((await admin.get("/api/popular/?limit=0")).json) == ["limit"]


async def test_ten_thousand_videos_are_listed_paged_and_searched(
    admin: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def playable(*_: object) -> AsyncIterator[ListedVideo]:
        """Yield videos that are not in the database: adding and removing so many would take a minute."""
        for number in range(1, 10_001):
            yield make_listed_video(number, f"Film {number}" if number > 1 else "Needle")

    monkeypatch.setattr(VideoStore, "iter_playable", playable)
    assert len((await admin.get("/api/video/")).json) == 10_000
    assert await titles(admin, "?search=needle") == ["Needle"]
    assert await titles(admin, "?limit=2&offset=9998") == ["Film 2", "Needle"]
    assert (await admin.get("/api/video/?search=film&limit=1")).headers["X-Total-Count"] == "9999"
