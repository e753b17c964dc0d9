"""Films whose segments are all there, and something else is not: they play, and their owner hears of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.http_client import HttpClient
from tests.support.scripted_tasks import make_presentation
from tests.support.videos import VideoLibrary
from transcode import task_graph
from transcode.ledger import Lease, Ledger, Queue, State
from transcode.worker.reconciler import Reconciler
from videoflix.bootstrap.clients import open_clients
from videoflix.bootstrap.video_repository import MongoVideoRepository
from videoflix.settings import Settings
from videoflix.stores.file_journal import FileJournalStore
from videoflix.stores.videos import VideoStore

SEGMENTS = [f"/media/hls/1/480p/{number:04d}.ts" for number in range(3)]


class Work:
    """The work on a site's films, done by the test in the place of a worker."""

    def __init__(self, ledger: Ledger, book: MongoVideoRepository, reconciler: Reconciler) -> None:
        self.ledger = ledger
        self.book = book
        self.reconciler = reconciler

    async def take(self, kind: str) -> Lease:
        lease = await self.ledger.claim([Queue.PROBE, Queue.AUDIO, Queue.BATCH], "a test")
        assert isinstance(lease, Lease)
        assert lease.kind == kind
        return lease

    async def fail(self, kind: str, sentence: str) -> None:
        await self.ledger.fail(await self.take(kind), sentence, permanent=True)

    async def fail_the_last_step(self) -> None:
        """As when the disk of the playlists cannot be written."""
        await self.ledger.start(1, [], task_graph.closing())
        await self.fail("iframes", "The encoder failed.")
        await self.fail("storyboard", "The encoder was killed.")
        await self.fail("finish", "A file could not be read or written.")
        await self.reconciler.run_once()


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Work]:
    async with open_clients(settings) as clients:
        ledger = Ledger(clients.redis)
        book = MongoVideoRepository(VideoStore(clients.database), FileJournalStore(clients.database), ledger)
        yield Work(ledger, book, Reconciler(ledger, book, settings.media_root))


async def put(library: VideoLibrary, **fields: Any) -> None:
    await library.add(1, ["480p"], presentation=make_presentation(10).as_json(), **fields)


async def statuses(client: HttpClient) -> list[int]:
    return [(await client.get(path)).status for path in SEGMENTS]


async def test_a_film_whose_last_step_fails_stays_playable(
    admin: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    await put(library, is_done=False, chunks_done=frozenset({0, 1}), tasks_done=frozenset({"thumbnail"}))
    async with working(settings) as work:
        await work.fail_the_last_step()
        assert (await work.ledger.job_states([1]))[1] is State.DEAD
        await work.reconciler.run_once()  # which finds nothing to do about it for now
        assert (await work.ledger.job_states([1]))[1] is State.DEAD
    assert [video["id"] for video in (await admin.get("/api/video/")).json] == [1]
    assert await statuses(admin) == [200, 200, 200]
    shown = (await admin.get("/api/admin/videos/1/")).json
    assert (shown["status"], shown["playable"], shown["may_be_retried"]) == ("ready", True, True)
    assert shown["error"] is None
    assert shown["warning"] == (
        "The last step of the work failed: A file could not be read or written. "
        "There are no pictures for fast forward: The encoder failed. "
        "There is no storyboard: The encoder was killed."
    )


async def test_it_plays_while_an_admins_retry_makes_what_is_missing(
    admin: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    await put(library, is_done=False, chunks_done=frozenset({0, 1}), tasks_done=frozenset({"thumbnail"}))
    async with working(settings) as work:
        await work.fail_the_last_step()
        answer = await admin.post("/api/admin/videos/1/retry/")
        assert (answer.status, answer.json["status"], answer.json["playable"]) == (200, "ready", True)
        assert (await work.ledger.job_states([1]))[1] is State.QUEUED
        assert (await admin.post("/api/admin/videos/1/retry/")).status == 200  # the same job goes on
        entry = await work.book.get(1)
        assert entry is not None
        await work.ledger.complete(
            await work.take("probe"), {}, task_graph.follow_ups("probe", entry, settings.media_root)
        )
        for kind in ("iframes", "storyboard", "finish"):
            assert await statuses(admin) == [200, 200, 200]
            lease = await work.take(kind)
            if kind == "finish":
                await work.book.mark_finished(1, {})
            else:
                await work.book.mark_task_done(1, kind, 0, {"pictures": 3})
            await work.ledger.complete(lease, {})
        shown = (await admin.get("/api/admin/videos/1/")).json
        assert (shown["status"], shown["warning"], shown["may_be_retried"]) == ("ready", None, False)
        assert (await admin.post("/api/admin/videos/1/retry/")).status == 409
        assert (await admin.get("/api/video/1/")).json["storyboard"].endswith("/media/hls/1/storyboard/index.vtt")


async def test_a_film_that_lacks_a_segment_fails_with_its_last_step(
    admin: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    await put(library, is_done=False, chunks_done=frozenset({0, 1}))
    (settings.media_root / "hls" / "1" / "480p" / "0001.ts").unlink()
    async with working(settings) as work:
        await work.fail_the_last_step()
    shown = (await admin.get("/api/admin/videos/1/")).json
    assert (shown["status"], shown["error"]) == ("failed", "A file could not be read or written.")
    assert (await admin.post("/api/admin/videos/1/retry/")).json["status"] == "processing"


async def test_a_film_that_was_cancelled_does_not_come_back(
    admin: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    await put(library, is_done=False, chunks_done=frozenset({0, 1}))
    async with working(settings) as work:
        await work.ledger.start(1, [], task_graph.closing())
        assert (await admin.post("/api/admin/videos/1/cancel/")).status == 200
        entry = await work.book.get(1)
        assert entry is not None
        await work.book.mark_ready_without(1, entry.omissions.updated({"finish": "Too late."}, 0))
    assert (await admin.get("/api/admin/videos/1/")).json["status"] == "failed"


async def test_what_is_wrong_with_the_upload_and_what_is_missing_are_both_told(
    admin: HttpClient, library: VideoLibrary, videos: VideoStore
) -> None:
    await put(library, warning="Half of it is gone.")
    await videos.set_omissions(1, {"subtitles": "The encoder failed."}, 5, 0.0)
    shown = (await admin.get("/api/admin/videos/1/")).json
    assert shown["warning"] == "Half of it is gone. The subtitles are missing: The encoder failed."


async def test_a_film_of_an_older_version_has_its_storyboard_and_lacks_nothing(
    admin: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    facts = {"finish": {"storyboard": {"pictures": 3, "sheets": 1}}}
    await put(library, chunks_done=frozenset({0, 1}), tasks_done=frozenset({"finish"}), task_results=facts)
    async with working(settings) as work:
        entry = await work.book.get(1)
        assert entry is not None
        assert {"iframes", "storyboard"} <= entry.tasks_done
        await work.reconciler.run_once()
        assert await work.ledger.job_states([1]) == {}
    assert (await admin.get("/api/video/1/")).json["storyboard"] is not None
    assert (await admin.get("/api/admin/videos/1/")).json["warning"] is None


@pytest.mark.parametrize("has_source", [True, False])
async def test_workers_try_again_when_the_time_has_come_and_count_it(
    admin: HttpClient, library: VideoLibrary, videos: VideoStore, settings: Settings, has_source: bool
) -> None:
    await put(library, chunks_done=frozenset({0, 1}), tasks_done=frozenset({"finish", "iframes", "storyboard"}))
    await videos.set_omissions(1, {"thumbnail": "The encoder failed."}, 0, 0.0)
    if has_source:
        (settings.media_root / "videos").mkdir(exist_ok=True)
        (settings.media_root / "videos" / "1.mp4").touch()
    async with working(settings) as work:
        for _ in range(2):
            await work.reconciler.run_once()
        assert await work.ledger.job_states([1]) == ({1: State.QUEUED} if has_source else {})
        video = await videos.get(1)
        assert (video.tries, video.tried_at > 0) == ((1, True) if has_source else (0, False))
        assert video.omissions == {"thumbnail": "The encoder failed."}
