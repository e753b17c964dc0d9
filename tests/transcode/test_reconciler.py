"""The reconciler: every unfinished video has a job, dead jobs are reported, lost files are repaired."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.repository import InMemoryRepository
from tests.support.scripted_tasks import make_presentation
from tests.support.workers import open_ledger
from transcode import task_graph
from transcode.ledger import Lease, Queue, State
from transcode.worker import reconciler as reconciler_module
from transcode.worker.reconciler import Reconciler


async def test_every_unfinished_video_has_a_job_and_no_other_video_has(redis_url: str, tmp_path: Path) -> None:
    repository = InMemoryRepository()
    async with open_ledger(redis_url) as ledger:
        for film in (1, 2, 3, 4):
            repository.add(film, make_presentation(8))
        await ledger.start(2, [task_graph.probe_task()], task_graph.finalize_task())
        await ledger.start(3, [task_graph.probe_task()], task_graph.finalize_task())
        await ledger.start(4, [task_graph.probe_task()], task_graph.finalize_task())
        await ledger.start(5, [task_graph.probe_task()], task_graph.finalize_task())  # deleted while Redis was away
        await repository.mark_failed(3, "The work was cancelled.")
        await repository.mark_finished(4, {})  # told before its job was settled, as ever
        for _ in range(2):
            await Reconciler(ledger, repository, tmp_path).run_once()
            assert await ledger.views.job_states([1, 2, 3, 4, 5]) == {
                1: State.QUEUED,
                2: State.QUEUED,
                3: State.CANCELLED,
                4: State.QUEUED,
                5: State.CANCELLED,
            }
        job = await ledger.views.job(1)
        assert job is not None
        assert [task.id for task in job.tasks] == ["probe"]


async def test_the_catalogue_is_told_why_a_job_is_dead(redis_url: str, tmp_path: Path) -> None:
    repository = InMemoryRepository()
    async with open_ledger(redis_url) as ledger:
        repository.add(1)
        await ledger.start(1, [task_graph.probe_task()], task_graph.finalize_task())
        lease = await ledger.claim([Queue.PROBE], "w")
        assert isinstance(lease, Lease)
        await ledger.fail(lease, "This file is empty.", permanent=True)
        await Reconciler(ledger, repository, tmp_path).run_once()
        assert repository.status[1] == "failed: This file is empty."
        await Reconciler(ledger, repository, tmp_path).run_once()
        assert (await ledger.views.job_states([1]))[1] is State.DEAD


async def test_one_unreadable_video_does_not_stop_the_round(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    repository = InMemoryRepository()
    async with open_ledger(redis_url) as ledger:
        for film in (1, 2, 3):
            repository.add(film, make_presentation(8))
        for film in (1, 3):
            await ledger.start(film, [task_graph.probe_task()], task_graph.finalize_task())
            lease = await ledger.claim([Queue.PROBE], "w")
            assert isinstance(lease, Lease)
            await ledger.fail(lease, "No film.", permanent=True)
        tell = repository.mark_failed

        async def stumble(film: int, sentence: str) -> None:
            if film == 1:
                raise TypeError("what is this?")
            await tell(film, sentence)

        monkeypatch.setattr(repository, "mark_failed", stumble)
        await Reconciler(ledger, repository, tmp_path).run_once()
        assert await ledger.views.job_states([2]) == {2: State.QUEUED}
        assert repository.status[3].startswith("failed")
        assert "video_skipped video_id=1" in caplog.text


async def test_a_finished_video_that_lost_files_is_mended_if_that_can_be_done(redis_url: str, tmp_path: Path) -> None:
    repository = InMemoryRepository()
    async with open_ledger(redis_url) as ledger:
        for film in (1, 2, 3, 4):
            repository.add(film, make_presentation(8), chunks=[0, 1])
            await repository.mark_finished(film, {})
            (tmp_path / "videos").mkdir(exist_ok=True)
            (tmp_path / "videos" / f"{film}.mp4").touch()
        (tmp_path / "videos" / "2.mp4").unlink()
        repository.records[4] = replace(repository.records[4], chunks_done=frozenset(), tasks_done=frozenset())
        await repository.mark_finished(4, {})  # a chunk was lost just before that
        await ledger.start(3, [task_graph.probe_task()], task_graph.finalize_task())
        lease = await ledger.claim([Queue.PROBE], "w")
        assert isinstance(lease, Lease)
        await ledger.fail(lease, "This was tried before.", permanent=True)
        await Reconciler(ledger, repository, tmp_path).run_once()
        assert await ledger.views.job_states([1, 2, 3, 4]) == {1: State.QUEUED, 3: State.DEAD, 4: State.QUEUED}
        assert (repository.status[1], repository.records[1].chunks_done, repository.records[1].tasks_done) == (
            "ready",
            set(),
            set(),
        )
        assert repository.records[2].chunks_done == {0, 1}


async def test_all_finished_videos_are_looked_at_in_turn(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(reconciler_module, "find_missing", lambda record, media_root: seen.append(record.video_id))
    monkeypatch.setattr(task_graph, "is_done", lambda entry: True)
    repository = InMemoryRepository()
    async with open_ledger(redis_url) as ledger:
        for film in range(1, 26):
            repository.add(film, make_presentation(8))
            await repository.mark_finished(film, {})
        reconciler = Reconciler(ledger, repository, tmp_path)
        for _ in range(5):
            await reconciler.run_once()
            assert not await ledger.views.list_active_ids()
    assert seen == [*range(1, 26), *range(1, 11)]
