"""Videos with all segments but without something optional: they play, and admins see what is missing."""

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


class ScriptedWorker:
    """Runs the tasks of a site, as the test directs, in place of a real worker."""

    def __init__(self, ledger: Ledger, repository: MongoVideoRepository, reconciler: Reconciler) -> None:
        self.ledger = ledger
        self.repository = repository
        self.reconciler = reconciler

    async def claim(self, kind: str) -> Lease:
        lease = await self.ledger.claim([Queue.PROBE, Queue.AUDIO, Queue.BATCH], "a test")
        assert isinstance(lease, Lease)
        assert lease.kind == kind
        return lease

    async def fail(self, kind: str, sentence: str) -> None:
        await self.ledger.fail(await self.claim(kind), sentence, permanent=True)

    async def fail_last_task(self) -> None:
        """Fail as if the playlists could not be written."""
        await self.ledger.start(1, [], task_graph.closing())
        await self.fail("iframes", "The encoder failed.")
        await self.fail("storyboard", "The encoder was killed.")
        await self.fail("finish", "A file could not be read or written.")
        await self.reconciler.run_once()


@asynccontextmanager
async def scripted_worker(settings: Settings) -> AsyncIterator[ScriptedWorker]:
    async with open_clients(settings) as clients:
        ledger = Ledger(clients.redis)
        repository = MongoVideoRepository(VideoStore(clients.database), FileJournalStore(clients.database), ledger)
        yield ScriptedWorker(ledger, repository, Reconciler(ledger, repository, settings.media_root))


async def add_video(library: VideoLibrary, **fields: Any) -> None:
    await library.add(1, ["480p"], presentation=make_presentation(10).as_json(), **fields)


async def statuses(client: HttpClient) -> list[int]:
    return [(await client.get(path)).status for path in SEGMENTS]


async def test_a_video_whose_last_task_fails_stays_playable(
    admin: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    await add_video(library, is_done=False, chunks_done=frozenset({0, 1}), tasks_done=frozenset({"thumbnail"}))
    async with scripted_worker(settings) as worker:
        await worker.fail_last_task()
        assert (await worker.ledger.views.job_states([1]))[1] is State.DEAD
        await worker.reconciler.run_once()  # has nothing to do for now
        assert (await worker.ledger.views.job_states([1]))[1] is State.DEAD
    assert [video["id"] for video in (await admin.get("/api/video/")).json] == [1]
    assert await statuses(admin) == [200, 200, 200]
    video = (await admin.get("/api/admin/videos/1/")).json
    assert (video["status"], video["playable"], video["may_be_retried"]) == ("ready", True, True)
    assert video["error"] is None
    assert video["warning"] == (
        "The last step of the work failed: A file could not be read or written. "
        "There are no pictures for fast forward: The encoder failed. "
        "There is no storyboard: The encoder was killed."
    )


async def test_a_video_plays_while_a_retry_makes_what_is_missing(
    admin: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    await add_video(library, is_done=False, chunks_done=frozenset({0, 1}), tasks_done=frozenset({"thumbnail"}))
    async with scripted_worker(settings) as worker:
        await worker.fail_last_task()
        answer = await admin.post("/api/admin/videos/1/retry/")
        assert (answer.status, answer.json["status"], answer.json["playable"]) == (200, "ready", True)
        assert (await worker.ledger.views.job_states([1]))[1] is State.QUEUED
        assert (await admin.post("/api/admin/videos/1/retry/")).status == 200  # the same job continues
        record = await worker.repository.get(1)
        assert record is not None
        await worker.ledger.complete(
            await worker.claim("probe"), {}, task_graph.follow_ups("probe", record, settings.media_root)
        )
        for kind in ("iframes", "storyboard", "finish"):
            assert await statuses(admin) == [200, 200, 200]
            lease = await worker.claim(kind)
            if kind == "finish":
                await worker.repository.mark_finished(1, {})
            else:
                await worker.repository.mark_task_done(1, kind, 0, {"pictures": 3})
            await worker.ledger.complete(lease, {})
        video = (await admin.get("/api/admin/videos/1/")).json
        assert (video["status"], video["warning"], video["may_be_retried"]) == ("ready", None, False)
        assert (await admin.post("/api/admin/videos/1/retry/")).status == 409
        assert (await admin.get("/api/video/1/")).json["storyboard"].endswith("/media/hls/1/storyboard/index.vtt")


async def test_a_video_without_a_segment_fails_with_its_last_task(
    admin: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    await add_video(library, is_done=False, chunks_done=frozenset({0, 1}))
    (settings.media_root / "hls" / "1" / "480p" / "0001.ts").unlink()
    async with scripted_worker(settings) as worker:
        await worker.fail_last_task()
    video = (await admin.get("/api/admin/videos/1/")).json
    assert (video["status"], video["error"]) == ("failed", "A file could not be read or written.")
    assert (await admin.post("/api/admin/videos/1/retry/")).json["status"] == "processing"


async def test_a_cancelled_video_stays_failed(admin: HttpClient, library: VideoLibrary, settings: Settings) -> None:
    await add_video(library, is_done=False, chunks_done=frozenset({0, 1}))
    async with scripted_worker(settings) as worker:
        await worker.ledger.start(1, [], task_graph.closing())
        assert (await admin.post("/api/admin/videos/1/cancel/")).status == 200
        record = await worker.repository.get(1)
        assert record is not None
        await worker.repository.mark_ready_without(1, record.omissions.updated({"finish": "Too late."}, 0))
    assert (await admin.get("/api/admin/videos/1/")).json["status"] == "failed"


async def test_the_warning_names_damage_and_missing_parts(
    admin: HttpClient, library: VideoLibrary, videos: VideoStore
) -> None:
    await add_video(library, warning="Half of it is gone.")
    await videos.set_omissions(1, {"subtitles": "The encoder failed."}, 5, 0.0)
    video = (await admin.get("/api/admin/videos/1/")).json
    assert video["warning"] == "Half of it is gone. The subtitles are missing: The encoder failed."


async def test_a_video_of_an_older_version_has_its_storyboard(
    admin: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    results = {"finish": {"storyboard": {"pictures": 3, "sheets": 1}}}
    await add_video(library, chunks_done=frozenset({0, 1}), tasks_done=frozenset({"finish"}), task_results=results)
    async with scripted_worker(settings) as worker:
        record = await worker.repository.get(1)
        assert record is not None
        assert {"iframes", "storyboard"} <= record.tasks_done
        await worker.reconciler.run_once()
        assert await worker.ledger.views.job_states([1]) == {}
    assert (await admin.get("/api/video/1/")).json["storyboard"] is not None
    assert (await admin.get("/api/admin/videos/1/")).json["warning"] is None


@pytest.mark.parametrize("has_source", [True, False])
async def test_workers_retry_what_is_missing_and_count_the_attempts(
    admin: HttpClient, library: VideoLibrary, videos: VideoStore, settings: Settings, has_source: bool
) -> None:
    await add_video(library, chunks_done=frozenset({0, 1}), tasks_done=frozenset({"finish", "iframes", "storyboard"}))
    await videos.set_omissions(1, {"thumbnail": "The encoder failed."}, 0, 0.0)
    if has_source:
        (settings.media_root / "videos").mkdir(exist_ok=True)
        (settings.media_root / "videos" / "1.mp4").touch()
    async with scripted_worker(settings) as worker:
        for _ in range(2):
            await worker.reconciler.run_once()
        assert await worker.ledger.views.job_states([1]) == ({1: State.QUEUED} if has_source else {})
        record = await videos.get(1)
        assert (record.tries, record.tried_at > 0) == ((1, True) if has_source else (0, False))
        assert record.omissions == {"thumbnail": "The encoder failed."}
