"""handlers/viewing.py and videoflix/viewing: progress, lists and ratings, also across processes and crashes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pymongo
import pytest
from redis.asyncio import Redis

from tests.support.event_loop import RunAsync
from tests.support.http_client import HttpClient
from tests.support.videos import make_video
from tests.support.waiting import wait_until
from videoflix.bootstrap.clients import open_clients
from videoflix.bootstrap.services import open_application, open_services
from videoflix.catalogue import maintenance
from videoflix.embedded.servers import find_free_port
from videoflix.models import VideoStatus, WatchProgress, now
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.users import UserStore
from videoflix.stores.videos import VideoStore
from videoflix.stores.viewing import MyListStore, ProgressStore
from videoflix.viewing.progress import ProgressReports
from videoflix.viewing.recent_progress import RecentProgressCache

USER_DATA_COLLECTIONS = ("progress", "list_entries", "ratings")


@pytest.fixture
def three_videos(run_async: RunAsync, videos: VideoStore) -> None:
    """Add three playable videos."""
    for number in (1, 2, 3):
        run_async(partial(videos.add, make_video(number)))


async def ids(client: HttpClient, path: str) -> list[int]:
    answer = await client.get(f"/api/{path}")
    assert answer.status == 200, answer.body
    return [video["id"] for video in answer.json]


def stored(settings: Settings, collection: str) -> list[dict[str, Any]]:
    with pymongo.MongoClient(settings.mongodb_uri.get_secret_value()) as client:
        return list(client[settings.mongodb_db][collection].find().sort("_id"))


async def test_progress_is_kept_and_read_back_at_once(admin: HttpClient, three_videos: None) -> None:
    assert (await admin.get("/api/video/1/progress/")).json == {"progress": None}
    answer = await admin.fetch("PUT", "/api/video/1/progress/", {"position": 12.5})
    assert answer.status == 200
    progress = answer.json["progress"]
    assert progress.pop("updated_at").endswith("Z")
    assert progress == {"position": 12.5, "duration": 100.0, "finished": False}
    assert (await admin.get("/api/video/1/progress")).json == answer.json
    assert (await admin.get("/api/video/1/")).json["progress"] == answer.json["progress"]
    beacon = await admin.post("/api/video/1/progress/", b'{"position": 13}', Content_Type="text/plain;charset=UTF-8")
    assert (await admin.get("/api/video/1/progress")).json == beacon.json
    assert beacon.json["progress"]["position"] == 13
    assert (await admin.fetch("DELETE", "/api/video/1/progress/")).json == {"progress": None}
    assert (await admin.get("/api/video/1/progress/")).json == {"progress": None}


async def test_a_video_is_finished_in_its_credits_or_when_the_player_says_so(
    admin: HttpClient, three_videos: None
) -> None:
    for body, position, finished in (
        ({"position": 94}, 94, False),
        ({"position": 95}, 95, True),
        ({"position": 1000, "duration": 2000}, 100, True),
        ({"position": 50, "finished": True}, 50, True),
        ({"position": 100, "finished": False}, 100, False),
        ({"position": "7.5", "finished": None}, 7.5, False),
    ):
        progress = (await admin.fetch("PUT", "/api/video/1/progress/", body)).json["progress"]
        assert (progress["position"], progress["finished"]) == (position, finished)


async def test_impossible_progress_is_refused(admin: HttpClient, three_videos: None, videos: VideoStore) -> None:
    for body, bad in (
        ({}, ["position"]),
        ({"position": -1, "duration": -1, "finished": "x"}, ["duration", "finished", "position"]),
        (b'{"position": NaN}', ["position"]),
        (b'{"position": 1e999}', ["position"]),
        ({"position": None}, ["position"]),
    ):
        answer = await admin.fetch("PUT", "/api/video/1/progress/", body, Content_Type="application/json")
        assert (answer.status, sorted(answer.json)) == (400, bad)
    await videos.add(make_video(4, status=VideoStatus.PROCESSING, presentation=None))
    for unknown in (4, 5):
        answer = await admin.fetch("PUT", f"/api/video/{unknown}/progress/", {"position": 1})
        assert (answer.status, answer.json) == (404, {"detail": "Not found."})


async def test_started_videos_are_listed_the_last_watched_first(admin: HttpClient, three_videos: None) -> None:
    for number, position in ((1, 10), (2, 20), (3, 99), (1, 30)):
        await admin.fetch("PUT", f"/api/video/{number}/progress/", {"position": position})
        await asyncio.sleep(0.002)  # dates have milliseconds
    answer = await admin.get("/api/me/continue/")
    assert [(video["id"], video["progress"]["position"]) for video in answer.json] == [(1, 30), (2, 20)]
    assert list(answer.json[0])[:6] == ["id", "created_at", "title", "description", "thumbnail_url", "category"]
    assert await ids(admin, "me/continue/?limit=1") == [1]
    await admin.fetch("DELETE", "/api/admin/videos/1/")
    assert await ids(admin, "me/continue") == [2]


async def test_progress_reports_are_batched_and_flushed_at_shutdown(
    run_async: RunAsync, settings: Settings, services: Services, three_videos: None
) -> None:
    async with AsyncExitStack() as stack:
        clients = await stack.enter_async_context(open_clients(settings))
        database = clients.database
        users, videos = UserStore(database), VideoStore(database)
        user = await services.accounts.make_admin("admin@videoflix.example", "correct horse battery")
        reports = ProgressReports(
            ProgressStore(database),
            RecentProgressCache(clients.fail_fast_redis),
            users.filter_existing,
            videos.filter_existing,
            interval_s=0.05,
        )
        for position in (1.0, 2.0, 3.0):
            await reports.put(report(user.id, 1, position))

        async def is_written() -> bool:
            return [document["position"] for document in stored(settings, "progress")] == [3.0]

        await wait_until(is_written)
        slow_reports = ProgressReports(
            ProgressStore(database),
            RecentProgressCache(clients.fail_fast_redis),
            users.filter_existing,
            videos.filter_existing,
            interval_s=3600,
        )
        await slow_reports.put(report(user.id, 2, 9.0))
        await slow_reports.put(report(user.id, 99, 9.0))  # a video that was deleted in the meantime
        await slow_reports.put(report(user.id + 1, 2, 9.0))  # a deleted user
        await slow_reports.close()
        await reports.close()
    documents = stored(settings, "progress")
    assert [(document["video_id"], document["position"]) for document in documents] == [(1, 3.0), (2, 9.0)]


async def test_progress_is_seen_by_other_processes(admin: HttpClient, three_videos: None, settings: Settings) -> None:
    user = (await admin.get("/api/me/")).json["id"]
    async with open_services(settings) as other:
        for position in (12.5, 30.0):
            await admin.fetch("PUT", "/api/video/1/progress/", {"position": position})
            for progress in (
                await other.viewing.get_progress(user, 1),
                (await other.viewing.get_user_state(user, 1)).progress,
                *await other.viewing.list_in_progress(user),
            ):
                assert progress is not None
                assert progress.position == position
        assert stored(settings, "progress") == []
        await other.viewing.report_progress(user, 1, 100.0, None, None)
        assert await ids(admin, "me/continue/") == []
        assert (await admin.get("/api/video/1/")).json["progress"]["finished"] is True


async def test_deleted_progress_does_not_come_back_from_another_process(
    admin: HttpClient, three_videos: None, settings: Settings, services: Services
) -> None:
    user = (await admin.get("/api/me/")).json["id"]
    services.viewing._reports._interval_s = 0.5
    for video in (1, 2):
        await admin.fetch("PUT", f"/api/video/{video}/progress/", {"position": 12.5})
    async with open_services(settings) as other:
        await other.viewing.forget_progress(user, 1)
    assert (await admin.get("/api/video/1/progress/")).json == {"progress": None}
    assert await ids(admin, "me/continue/") == [2]

    async def second_is_written() -> bool:
        return [document["video_id"] for document in stored(settings, "progress")] == [2]

    await wait_until(second_is_written)
    assert (await admin.get("/api/video/1/progress/")).json == {"progress": None}
    await admin.fetch("PUT", "/api/video/1/progress/", {"position": 5})
    assert await ids(admin, "me/continue/") == [1, 2]


async def test_progress_is_kept_while_redis_does_not_respond(settings: Settings, http_port: int) -> None:
    async def filter_existing(ids: Any) -> set[int]:
        return set(ids)

    silent_redis = Redis.from_url(f"redis://127.0.0.1:{http_port}")
    async with open_clients(settings) as clients:
        reports = ProgressReports(
            ProgressStore(clients.database),
            RecentProgressCache(silent_redis),
            filter_existing,
            filter_existing,
            interval_s=0.02,
        )
        await reports.put(report(1, 1, 5.0))
        assert await reports.get(1, 1) == (await reports.list_in_progress(1))[0]
        assert [progress.video_id for progress in await reports.list_in_progress(1)] == [1]

        async def is_written() -> bool:
            return [document["position"] for document in stored(settings, "progress")] == [5.0]

        await wait_until(is_written)
        await reports.forget(1, 1)
        assert await reports.get(1, 1) is None
        await reports.close()
    await silent_redis.aclose()


async def test_a_report_never_replaces_a_newer_one_of_another_process(
    settings: Settings, videos: VideoStore, three_videos: None
) -> None:
    async with open_clients(settings) as clients:
        store = ProgressStore(clients.database)
        newer, older = report(7, 1, 60.0), report(7, 1, 10.0, seconds_ago=5)
        await store.save_all([newer])
        await store.save_all([older, report(7, 2, 1.0)])
        unfinished = await store.list_unfinished(7)
        assert {progress.video_id: progress.position for progress in unfinished} == {1: 60.0, 2: 1.0}


async def test_reports_wait_while_the_database_is_away(settings: Settings) -> None:
    class Away(ProgressStore):
        """The real store, with a server that comes back later."""

        is_away = True

        async def save_all(self, reports: Any) -> None:
            if self.is_away:
                raise ConnectionError("no database")
            await super().save_all(reports)

    async def filter_existing(ids: Any) -> set[int]:
        return set(ids)

    async with open_clients(settings) as clients:
        store = Away(clients.database)
        reports = ProgressReports(
            store, RecentProgressCache(clients.fail_fast_redis), filter_existing, filter_existing, interval_s=0.02
        )
        await reports.put(report(1, 1, 5.0))
        await asyncio.sleep(0.1)
        await reports.put(report(1, 1, 6.0))
        assert stored(settings, "progress") == []
        store.is_away = False

        async def is_written() -> bool:
            return [document["position"] for document in stored(settings, "progress")] == [6.0]

        await wait_until(is_written)
        await reports.close()


def report(user_id: int, video_id: int, position: float, seconds_ago: float = 0) -> WatchProgress:
    return WatchProgress(
        user_id=user_id,
        video_id=video_id,
        position=position,
        duration=100.0,
        finished=False,
        updated_at=now() - timedelta(seconds=seconds_ago),
    )


async def test_videos_are_added_to_a_list_and_removed_from_it(
    admin: HttpClient, three_videos: None, videos: VideoStore
) -> None:
    assert await ids(admin, "me/list/") == []
    for number in (2, 1, 3, 2):
        answer = await admin.fetch("PUT", f"/api/me/list/{number}/", b"", Content_Type="application/json")
        assert (answer.status, answer.json) == (200, {"id": number, "on_list": True})
        await asyncio.sleep(0.002)
    assert await ids(admin, "me/list") == [3, 1, 2]
    for _ in range(2):
        assert (await admin.fetch("DELETE", "/api/me/list/1/")).json == {"id": 1, "on_list": False}
    assert (await admin.get("/api/me/list/1/")).json == {"id": 1, "on_list": False}
    assert (await admin.get("/api/me/list/3")).json == {"id": 3, "on_list": True}
    assert (await admin.get("/api/video/3/")).json["on_list"] is True
    assert (await admin.fetch("PUT", "/api/me/list/9/")).status == 404
    await admin.fetch("DELETE", "/api/admin/videos/3/")
    assert await ids(admin, "me/list/") == [2]


async def test_a_rating_is_saved_changed_and_removed(admin: HttpClient, three_videos: None) -> None:
    for body, own, up, down in (
        ({"rating": "up"}, "up", 1, 0),
        ({"rating": "down"}, "down", 0, 1),
        (None, None, 0, 0),
    ):
        method = "PUT" if body else "DELETE"
        answer = await admin.fetch(method, "/api/video/1/rating/", body)
        expected = {"rating": own, "ratings": {"up": up, "down": down}}
        assert (answer.status, answer.json) == (200, expected)
        details = (await admin.get("/api/video/1/")).json
        assert {name: details[name] for name in expected} == expected
    for bad in ({}, {"rating": "sideways"}, {"rating": 1}):
        answer = await admin.fetch("PUT", "/api/video/1/rating/", bad)
        assert (answer.status, list(answer.json)) == (400, ["rating"])
        assert "sideways" not in answer.body.decode()
    assert (await admin.fetch("PUT", "/api/video/9/rating/", {"rating": "up"})).status == 404


async def test_only_videos_that_were_watched_or_liked_are_popular(
    admin: HttpClient, three_videos: None, settings: Settings
) -> None:
    async with open_clients(settings) as clients:
        await ProgressStore(clients.database).save_all([report(1, 1, 5.0), report(2, 1, 5.0), report(1, 3, 5.0)])
    for number, rating in ((2, "up"), (3, "down")):
        await admin.fetch("PUT", f"/api/video/{number}/rating/", {"rating": rating})
    assert await ids(admin, "popular/") == [1, 2]
    assert await ids(admin, "popular/?limit=1") == [1]
    await admin.fetch("DELETE", "/api/admin/videos/1/")
    assert await ids(admin, "popular") == [2]


async def test_nothing_is_popular_on_a_new_site(admin: HttpClient, three_videos: None) -> None:
    assert await ids(admin, "popular/") == []


async def test_similar_videos_share_the_category_or_words(
    admin: HttpClient, three_videos: None, videos: VideoStore
) -> None:
    await videos.add(make_video(4, "Four", category="Drama"))
    await videos.add(make_video(5, "Five", category="drama"))
    answer = await admin.get("/api/video/4/similar/")
    assert [video["title"] for video in answer.json] == ["Five"]
    assert await ids(admin, "video/1/similar") == []


async def test_user_data_is_private_and_deleted_with_the_account(
    admin: HttpClient, three_videos: None, services: Services, settings: Settings
) -> None:
    other = HttpClient(int(admin.url.rpartition(":")[2]))
    second = await services.accounts.make_admin("second@videoflix.example", "correct horse battery")
    await other.log_in("second@videoflix.example")
    for client in (admin, other):
        await client.fetch("PUT", "/api/video/1/progress/", {"position": 5})
        await client.fetch("PUT", "/api/me/list/2/")
        await client.fetch("PUT", "/api/video/3/rating/", {"rating": "up"})
    await admin.fetch("PUT", "/api/me/list/3/")
    assert await ids(other, "me/list/") == [2]
    assert (await other.get("/api/video/3/")).json["ratings"] == {"up": 2, "down": 0}
    await services.accounts.delete(second.id)
    assert (await admin.get("/api/video/3/")).json["ratings"] == {"up": 1, "down": 0}
    assert [await ids(admin, path) for path in ("me/continue/", "me/list/")] == [[1], [3, 2]]
    for collection in USER_DATA_COLLECTIONS:
        assert second.id not in [document["user_id"] for document in stored(settings, collection)]
    other.close()


async def test_deleting_a_video_removes_it_from_all_user_data(
    admin: HttpClient, three_videos: None, settings: Settings
) -> None:
    await admin.fetch("PUT", "/api/video/1/progress/", {"position": 5})
    await admin.fetch("PUT", "/api/me/list/1/")
    await admin.fetch("PUT", "/api/video/1/rating/", {"rating": "up"})
    assert (await admin.fetch("DELETE", "/api/admin/videos/1/")).status == 200
    assert [stored(settings, collection) for collection in USER_DATA_COLLECTIONS] == [[], [], []]


async def test_an_interrupted_deletion_is_finished_by_the_next_process(
    admin: HttpClient, three_videos: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise RuntimeError("as if the process had been killed here")

    async def first_is_finished() -> bool:
        return "finished_at" in stored(settings, "deletions")[0]

    for video in (1, 2):
        await admin.fetch("PUT", f"/api/me/list/{video}/")
        await admin.fetch("PUT", f"/api/video/{video}/rating/", {"rating": "up"})
    with monkeypatch.context() as broken:
        broken.setattr(MyListStore, "delete_for_video", die)
        assert (await admin.fetch("DELETE", "/api/admin/videos/1/")).status == 500
        broken.setattr(VideoStore, "delete", die)
        assert (await admin.fetch("DELETE", "/api/admin/videos/2/")).status == 500
    assert [await ids(admin, "me/list/"), await ids(admin, "video/")] == [[2], [3, 2]]
    assert [document["video_id"] for document in stored(settings, "list_entries")] == [1, 2]

    async with open_application(settings) as (_, jobs):
        await jobs.video_purge.run_once()  # too early: another process may still be about to write
        assert len(stored(settings, "list_entries")) == 2
        monkeypatch.setattr(maintenance, "_MIN_DELETION_AGE_S", 0)
        async with jobs.video_purge.run_in_background():
            await wait_until(first_is_finished)
    for collection in ("list_entries", "ratings"):
        assert [document["video_id"] for document in stored(settings, collection)] == [2]
    assert "finished_at" not in stored(settings, "deletions")[1]  # that video was not deleted


@asynccontextmanager
async def web_process(
    settings: Settings, admin: HttpClient
) -> AsyncIterator[tuple[HttpClient, subprocess.Popen[bytes]]]:
    """Run a web process of the same site; yield a client that is logged in there, and the process."""
    port = find_free_port()
    environment = {**settings.as_environment(), "MONGODB_DB": settings.mongodb_db, "PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "videoflix", "web"], env={**os.environ, **environment})
    client = HttpClient(port)
    client.cookies.update(admin.cookies)

    async def answers() -> bool:
        with contextlib.suppress(OSError):
            return (await client.get("/healthz")).status == 200
        return False

    try:
        await wait_until(answers, 30)
        yield client, process
    finally:
        client.close()
        process.kill()
        process.wait()


async def test_a_web_process_that_is_killed_loses_only_the_last_seconds(
    admin: HttpClient, three_videos: None, settings: Settings
) -> None:
    async def is_written() -> bool:
        return [document["position"] for document in stored(settings, "progress")] == [11.0]

    async with web_process(settings, admin) as (client, process):
        for position in (10, 11):
            await client.fetch("PUT", "/api/video/1/progress/", {"position": position})
        await wait_until(is_written, 10)
        process.kill()
    assert (await admin.get("/api/video/1/progress/")).json["progress"]["position"] == 11
