"""The engine's video repository over a real database: records, results, deletions, outages, earlier versions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import AutoReconnect

from tests.support.fast_timing import FAST_TIMING
from tests.support.scripted_tasks import TaskScript, make_presentation
from tests.support.waiting import wait_until
from tests.support.workers import running_worker
from transcode import paths, task_graph
from transcode.ledger import Ledger
from transcode.repository import RepositoryUnavailable, VideoRecord
from transcode.worker.sweeper import Sweeper
from videoflix.bootstrap.clients import open_clients
from videoflix.bootstrap.services import open_services
from videoflix.bootstrap.video_repository import MongoVideoRepository
from videoflix.errors import Conflict
from videoflix.models import NewVideo, Video
from videoflix.settings import Settings
from videoflix.stores import file_journal
from videoflix.stores.file_journal import FileJournalStore
from videoflix.stores.videos import VideoStore


async def test_a_deletion_that_was_only_announced_removes_no_video(settings: Settings) -> None:
    async with open_clients(settings) as clients:
        videos, announced = VideoStore(clients.database), FileJournalStore(clients.database)
        repository = MongoVideoRepository(videos, announced, Ledger(clients.redis))
        await videos.add(Video(id=1, title="A film", source="videos/1.mp4"))
        for film in (1, 2):
            await announced.record_deletion(film, f"videos/{film}.mp4")
        assert await repository.list_deleted() == [(2, "videos/2.mp4")]
        await videos.delete(1)
        assert sorted(await repository.list_deleted()) == [(1, "videos/1.mp4"), (2, "videos/2.mp4")]


async def test_the_file_of_a_video_that_did_not_come_in_is_swept_a_while_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = settings.media_root
    async with open_services(settings) as services, open_clients(settings) as clients:

        async def take_in() -> Path:
            upload = services.uploads.allocate_path(0)
            upload.write_bytes(b"a film")
            await services.catalogue.import_upload(NewVideo(title="A film"), upload, ".mp4")
            return root / "videos"

        kept = await take_in()
        with monkeypatch.context() as broken:
            broken.setattr(VideoStore, "add", away)
            with pytest.raises(AutoReconnect):
                await take_in()
        ledger = Ledger(clients.redis)
        repository = MongoVideoRepository(VideoStore(clients.database), FileJournalStore(clients.database), ledger)
        await Sweeper(ledger, repository, root).run_once()
        assert sorted(file.name for file in kept.iterdir()) == ["1.mp4", "2.mp4"]
        monkeypatch.setattr(file_journal, "_ARRIVAL_TIMEOUT_S", -1)
        await Sweeper(ledger, repository, root).run_once()
        assert [file.name for file in kept.iterdir()] == ["1.mp4"]


async def away(*_: object) -> None:
    raise AutoReconnect("away")


async def test_a_record_keeps_task_results_and_drops_missing_ones(settings: Settings) -> None:
    async with open_clients(settings) as clients:
        videos = VideoStore(clients.database)
        repository = MongoVideoRepository(videos, FileJournalStore(clients.database), Ledger(clients.redis))
        await videos.add(Video(id=1, title="A film", source="videos/1.mp4"))
        await repository.set_presentation(1, replace(make_presentation(20), warning="Half of it is gone."))
        await repository.set_presentation(1, make_presentation(8))
        # too late: parts of the film may be made by the first one
        assert (await videos.get(1)).segments == make_presentation(20).segment_count
        for chunk in (0, 1, 2):
            await repository.mark_task_done(1, "chunk", chunk, {})
        for kind in ("thumbnail", "subtitles"):
            await repository.mark_task_done(1, kind, 0, {"tracks": [1]})
        assert await repository.list_finished_after(0, 9) == []
        await repository.mark_finished(1, {})
        (entry,) = await repository.list_finished_after(0, 9)
        assert (entry.chunks_done, entry.tasks_done) == ({0, 1, 2}, {"thumbnail", "subtitles", "finish"})
        assert entry.task_results["subtitles"] == {"tracks": [1]}
        await repository.mark_missing(1, {1}, {"thumbnail"})
        (entry,) = await repository.list_finished_after(0, 9)
        assert (entry.chunks_done, entry.tasks_done) == ({0, 2}, {"subtitles"})
        assert await repository.list_finished_after(1, 9) == []
        video = await videos.get(1)
        assert (video.status, video.warning) == ("ready", "Half of it is gone.")


async def test_an_unreadable_presentation_hides_no_other_video(settings: Settings) -> None:
    async with open_clients(settings) as clients:
        videos = VideoStore(clients.database)
        repository = MongoVideoRepository(videos, FileJournalStore(clients.database), Ledger(clients.redis))
        readable = make_presentation(20)
        documents: tuple[dict[str, Any], ...] = ({"version": 1}, readable.as_json(), {"grid": None})
        for video_id, presentation in enumerate(documents, 1):
            await videos.add(Video(id=video_id, title="A video", source="", presentation=presentation))
            await repository.mark_finished(video_id, {})
        (record,) = await repository.list_finished_after(0, 1)  # the first batch holds nothing that can be read
        assert (record.video_id, record.presentation) == (2, readable)
        assert await repository.list_finished_after(2, 9) == []


async def test_a_video_that_is_cancelled_while_its_work_ends_stays_cancelled(settings: Settings) -> None:
    async with open_services(settings) as services, open_clients(settings) as clients:
        videos = VideoStore(clients.database)
        repository = MongoVideoRepository(videos, FileJournalStore(clients.database), Ledger(clients.redis))
        for film in range(1, 9):
            await videos.add(Video(id=film, title="A film", source=f"videos/{film}.mp4"))
            await repository.set_presentation(film, make_presentation(8))
            cancelled, _ = await asyncio.gather(
                services.catalogue.cancel(film), repository.mark_finished(film, {"bytes": 1}), return_exceptions=True
            )
            video = await videos.get(film)
            refused = isinstance(cancelled, Conflict)
            assert (video.status, "finish" in video.tasks_done) == (("ready", True) if refused else ("failed", False))
        await videos.add(Video(id=9, title="A film", source="videos/9.mp4"))
        await services.catalogue.cancel(9)
        await repository.mark_finished(9, {"bytes": 1})
        assert (await videos.get(9)).status == "failed"
        await services.catalogue.retry(9)
        await repository.mark_finished(9, {"bytes": 1})
        assert (await videos.get(9)).status == "ready"


async def test_a_database_that_is_away_is_told_from_what_it_can_never_take(settings: Settings) -> None:
    async with open_clients(settings) as clients:
        videos = VideoStore(clients.database)
        repository = MongoVideoRepository(videos, FileJournalStore(clients.database), Ledger(clients.redis))
        await videos.add(Video(id=1, title="A film", source="videos/1.mp4"))
        for never in ({"words": "a" * 17 * 1024**2}, {"words": object()}):
            with pytest.raises(Exception, match=r"(?i)too large|cannot encode") as refused:
                await repository.mark_task_done(1, "subtitles", 0, never)
            assert not isinstance(refused.value, RepositoryUnavailable)
    nowhere = AsyncIOMotorClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=50)
    away = VideoStore(nowhere["videoflix"])
    with pytest.raises(RepositoryUnavailable):
        await MongoVideoRepository(away, FileJournalStore(nowhere["videoflix"]), Ledger(clients.redis)).get(1)
    nowhere.close()


async def test_a_video_of_an_earlier_version_becomes_ready(settings: Settings) -> None:
    presentation = make_presentation(20)
    document = {
        "_id": 1, "title": "A video", "description": "", "category": "", "created_at": datetime(2026, 1, 2, tzinfo=UTC),
        "source": "videos/1.mp4", "status": "processing", "error": None, "warning": None,
        "timeline": presentation.as_json(), "renditions": ["180p"], "segments": 5, "duration": 20.0,
        "chunks_done": [0], "kinds_done": ["thumbnail"], "facts": {"thumbnail": {}},
    }  # fmt: skip
    root = settings.media_root
    for name in presentation.rendition_names:
        for number in presentation.grid.chunk_segments(0):
            file = paths.segment_path(root, 1, name, number)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    paths.thumbnail_path(root, 1).parent.mkdir(parents=True, exist_ok=True)
    paths.thumbnail_path(root, 1).touch()
    async with open_clients(settings) as clients:
        await clients.database["videos"].insert_one(document)
        ledger, videos = Ledger(clients.redis, timing=FAST_TIMING), VideoStore(clients.database)
        repository = MongoVideoRepository(videos, FileJournalStore(clients.database), ledger)
        record = await repository.get(1)
        assert record == VideoRecord(
            1, "videos/1.mp4", presentation, frozenset({0}), frozenset({"thumbnail"}), task_results={"thumbnail": {}}
        )
        planned = task_graph.initial_tasks(record, root)
        assert [task.id for task in planned] == ["chunk:0001", "chunk:0002"]
        async with running_worker(ledger, repository, root):
            await wait_until(lambda: is_ready(videos, 1))
        assert sorted(TaskScript(root).started("chunk")) == ["1", "2"]
        assert TaskScript(root).started("thumbnail") == []
        assert (await videos.get(1)).omissions == {}
        stored = await clients.database["videos"].find_one({"_id": 1})
        assert (stored["chunks_done"], "finish" in stored["kinds_done"]) == ([0, 1, 2], True)


async def is_ready(videos: VideoStore, video_id: int) -> bool:
    return (await videos.get(video_id)).status == "ready"
