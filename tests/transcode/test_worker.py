"""The worker with real pool children and scripted tasks: stages of a video, failures, outages, full disks, shutdown."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.support.fast_timing import FAST_TIMING
from tests.support.repository import InMemoryRepository
from tests.support.scripted_tasks import TaskScript, make_presentation
from tests.support.waiting import wait_until
from tests.support.workers import get_job, open_ledger, running_worker, scratch_files, wait_for_job
from transcode import paths, publishing, task_graph
from transcode.aio import cancel_and_wait
from transcode.engine import Engine
from transcode.ledger import Lease, LeaseState, Ledger, NewTask, Queue, State, TaskView
from transcode.worker.disk_guard import DiskGuard

# On a machine that is busy with other tests, children that are only just there seem to stand still.
PATIENT = replace(
    FAST_TIMING, disk_full_pause_s=60, stall_timeout_s=60, segment_stall_timeout_s=60, lease_ttl_s=60, request_ttl_s=60
)
CHUNKS = {"0", "1", "2"}  # of twenty seconds


async def begin(ledger: Ledger, repository: InMemoryRepository, film: int = 1, *, sound: bool = True) -> None:
    """A film that was probed before, so that its timeline is the test's choice."""
    repository.add(film, make_presentation(20, sound=sound))
    await ledger.start(film, [task_graph.probe_task()], task_graph.finalize_task())


async def running(ledger: Ledger, film: int, kind: str) -> None:
    async def is_running() -> bool:
        return any(task.kind == kind and task.progress > 0 for task in (await get_job(ledger, film)).tasks)

    await wait_until(is_running)


async def task_of(ledger: Ledger, film: int, name: str) -> TaskView:
    return next(task for task in (await get_job(ledger, film)).tasks if task.id == name)


async def test_a_video_goes_from_its_probe_to_its_end(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        repository.add(1)
        await ledger.start(1, [task_graph.probe_task()], task_graph.finalize_task())
        await wait_for_job(ledger, 1)
        assert repository.status[1] == "ready"
        assert repository.records[1].chunks_done == {0, 1, 2}
        assert sorted(task_script.started("chunk")) == sorted(CHUNKS)
        assert len(list(paths.rendition_dir(tmp_path, 1, "480p").glob("*.ts"))) == 5
        await wait_until(lambda: scratch_files(tmp_path) == [])


async def test_chunks_begin_while_the_sound_is_still_being_made(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("audio", "one part")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_until(lambda: "chunk:0" in repository.completed_tasks)
        assert "audio:0" not in repository.completed_tasks
        assert task_script.started("chunk") == ["0"]
        task_script.clear("audio")
        await wait_for_job(ledger, 1)
        assert sorted(task_script.started("chunk")) == sorted(CHUNKS)


async def test_slow_probes_leave_slots_for_other_tasks(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("probe", "work")  # as with those that are copied first
    async with open_ledger(redis_url) as ledger:
        for film in (1, 2, 3, 4):
            repository.add(film)
            await ledger.start(film, [task_graph.probe_task()], task_graph.finalize_task())
        repository.add(5, make_presentation(4, sound=True))
        others = [NewTask("thumbnail", "thumbnail"), NewTask("audio", "audio", queue=Queue.AUDIO)]
        await ledger.start(5, others, task_graph.finalize_task())
        async with running_worker(ledger, repository, tmp_path, slots=2):
            await wait_until(
                lambda: (
                    len(task_script.started("probe")) == 3
                    and {"thumbnail:0", "audio:0"} <= set(repository.completed_tasks)
                )
            )


async def test_a_stopping_worker_releases_its_tasks_without_an_attempt(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("chunk", "work")
    async with open_ledger(redis_url) as ledger:
        await begin(ledger, repository)
        async with running_worker(ledger, repository, tmp_path) as worker:
            await running(ledger, 1, "chunk")
            leaves = time.monotonic()
            worker.stop()
        assert time.monotonic() - leaves < ledger.timing.shutdown_timeout_s
        chunk = await task_of(ledger, 1, "chunk:0000")
        assert (chunk.state, chunk.attempts) == (State.QUEUED, 0)
        assert [path for path in scratch_files(tmp_path) if path.name == "half-made"] == []
        task_script.clear("chunk")
        async with running_worker(ledger, repository, tmp_path):
            await wait_for_job(ledger, 1)
        assert task_script.started("audio") == ["0"]  # what was finished is not done again


async def test_a_worker_leaves_in_good_order_also_while_redis_is_away(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository
) -> None:
    async with (
        Redis.from_url("redis://127.0.0.1:1/0") as nowhere,
        running_worker(Ledger(nowhere, timing=FAST_TIMING), repository, tmp_path),
    ):
        await asyncio.sleep(0.3)  # all slots have asked in vain


@pytest.mark.parametrize("kind", ["probe", "audio", "chunk", "segment"])
async def test_deleting_a_video_stops_its_work_and_leaves_nothing_behind(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript, kind: str
) -> None:
    task_script.set(kind, "work")
    source = tmp_path / "videos" / "1.mp4"
    source.parent.mkdir()
    source.touch()
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        engine = Engine(ledger, tmp_path)
        await begin(ledger, repository)
        waiting = [] if kind != "segment" else [asyncio.create_task(engine.request_segment(1, "480p", 4))]
        if waiting:
            task_script.set("chunk", "work")
        await running(ledger, 1, kind)
        repository.delete(1)
        await engine.delete(1, "videos/1.mp4")

        async def is_gone() -> bool:
            left = (
                publishing.list_remaining(tmp_path, 1, "videos/1.mp4")
                or await ledger.views.job(1)
                or await ledger.count_active_leases(1)
            )
            return not left

        await wait_until(is_gone)
        for request in waiting:
            with pytest.raises(Exception, match="deleted"):
                await request
        await engine.close()


async def test_a_child_that_does_not_stop_is_killed(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("chunk", "ignore stop")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_until(lambda: task_script.started("chunk"))
        await repository.mark_failed(1, "It was cancelled.")
        assert await ledger.cancel(1) > 0

        async def nobody_holds() -> bool:
            return await ledger.count_active_leases(1) == 0

        await wait_until(nobody_holds)
        repository.add(2, make_presentation(4))
        task_script.clear("chunk")
        await ledger.start(2, [task_graph.probe_task()], task_graph.finalize_task())
        await wait_for_job(ledger, 2)  # by the child that took its place


async def test_work_that_stands_still_is_stopped_and_tried_again(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("chunk", "hang")
    async with (
        open_ledger(redis_url, replace(FAST_TIMING, stall_timeout_s=1.0)) as ledger,
        running_worker(ledger, repository, tmp_path),
    ):
        await begin(ledger, repository)

        async def was_stopped() -> bool:
            tasks = (await get_job(ledger, 1)).tasks
            return any(task.id == "chunk:0000" and "stands still" in task.error for task in tasks)

        await wait_until(was_stopped)
        task_script.clear("chunk")
        await wait_for_job(ledger, 1)
        assert (await task_of(ledger, 1, "chunk:0000")).attempts >= 2


async def test_a_task_that_fails_too_often_fails_the_video_with_stderr(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("chunk", "fail")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_for_job(ledger, 1, State.DEAD)
        await wait_until(lambda: repository.status[1] == "failed: It failed.")
        dead = next(task for task in (await get_job(ledger, 1)).tasks if task.state is State.DEAD)
        assert (dead.attempts, dead.last_words) == (4, "the last words")
        await wait_until(lambda: scratch_files(tmp_path) == [])


async def test_a_hopeless_video_says_why_and_is_not_tried_again(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("probe", "fail permanently")
    async with open_ledger(redis_url) as ledger:
        repository.add(1)
        await ledger.start(1, [task_graph.probe_task()], task_graph.finalize_task())
        async with running_worker(ledger, repository, tmp_path):
            await wait_until(lambda: repository.status[1] == "failed: This file is not a film.")
        assert len(task_script.started("probe")) == 1


@pytest.mark.parametrize("order", ["exit", "raise bug"])
async def test_a_child_that_dies_or_stumbles_costs_one_attempt(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript, order: str
) -> None:
    task_script.set("chunk", order)
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_until(lambda: len(task_script.started("chunk")) >= 2)
        task_script.clear("chunk")
        await wait_for_job(ledger, 1)
        assert repository.status[1] == "ready"


async def test_a_full_disk_spends_no_attempt_and_is_shown_until_there_is_room(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("chunk", "disk full")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_until(lambda: len(task_script.started("chunk")) >= 6)  # more often than a task has attempts

        async def is_shown() -> bool:
            return (await ledger.views.progress([1]))[1].waits_for == "free disk space"

        await wait_until(is_shown)
        task_script.clear("chunk")
        await wait_for_job(ledger, 1)
        assert (await ledger.views.progress([1]))[1].waits_for == ""
        assert (await task_of(ledger, 1, "chunk:0000")).attempts == 1


async def test_what_is_too_large_for_the_disk_keeps_no_other_work_waiting(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("thumbnail", "too large")
    async with open_ledger(redis_url, PATIENT) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_until(
            lambda: repository.records[1].chunks_done == {0, 1, 2} and len(task_script.started("thumbnail")) > 1
        )
        assert (await task_of(ledger, 1, "thumbnail")).error == "There is no room for it."
        task_script.clear("thumbnail")
        await wait_for_job(ledger, 1)
        assert (await task_of(ledger, 1, "thumbnail")).attempts == 1


async def test_a_full_disk_pauses_on_demand_segments_too(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("segment", "disk full")
    async with open_ledger(redis_url, PATIENT) as ledger, running_worker(ledger, repository, tmp_path):
        repository.add(1, make_presentation(20))
        await ledger.request_segment(1, task_graph.segment_task("480p", 4), "a web process")
        await wait_until(lambda: task_script.started("segment"))
        await asyncio.sleep(0.3)
        assert task_script.started("segment") == ["4"]


async def test_work_pauses_below_the_reserve_and_goes_on_above_it(
    redis_url: str,
    tmp_path: Path,
    repository: InMemoryRepository,
    task_script: TaskScript,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The volume itself fills up in tests/acceptance/test_faults.py; here the numbers are moved by hand."""
    free = [1000]
    monkeypatch.setattr(DiskGuard, "_measure_free", lambda self: free[0])
    task_script.set("chunk", "work")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path, min_free=100):
        await begin(ledger, repository)
        await running(ledger, 1, "chunk")
        free[0] = 60  # nothing new is begun, what runs goes on
        await asyncio.sleep(3 * ledger.timing.heartbeat_interval_s)
        assert (await task_of(ledger, 1, "chunk:0000")).state is State.RUNNING
        free[0] = 40

        async def is_paused() -> bool:
            return (await get_job(ledger, 1)).waits_for == "free disk space" and not await ledger.count_active_leases(1)

        await wait_until(is_paused)
        task_script.clear("chunk")
        assert task_script.started("chunk") == ["0"]
        free[0] = 1000
        await wait_for_job(ledger, 1)


async def test_a_database_that_is_away_is_waited_for(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("chunk", "work")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await running(ledger, 1, "chunk")
        repository.is_unavailable = True
        task_script.clear("chunk")
        await asyncio.sleep(1.5 * ledger.timing.lease_ttl_s)
        assert (await task_of(ledger, 1, "chunk:0000")).state is State.RUNNING  # done, and kept until it can be told
        repository.is_unavailable = False
        await wait_for_job(ledger, 1)
        assert sorted(task_script.started("chunk")) == sorted(CHUNKS)


async def test_a_repository_bug_fails_only_its_video(
    redis_url: str,
    tmp_path: Path,
    repository: InMemoryRepository,
    task_script: TaskScript,
    caplog: pytest.LogCaptureFixture,
) -> None:
    repository.failing_kinds.add("chunk")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository, sound=False)
        await wait_until(lambda: repository.status[1] == "failed: The worker failed with an internal error.")
        dead = next(task for task in (await get_job(ledger, 1)).tasks if task.state is State.DEAD)
        assert dead.attempts == 4
        assert "TypeError: no chunk can be written" in dead.last_words
        assert any("task_crashed" in record.message and record.exc_info for record in caplog.records)
        repository.failing_kinds.clear()
        await begin(ledger, repository, 2)
        await wait_for_job(ledger, 2)
        assert repository.status[2] == "ready"


async def test_of_two_probes_the_first_recorded_one_counts(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    """As when a worker was paused just before it told of its own, and another version of us runs beside it."""
    task_script.set("probe", "work")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        repository.add(1)
        await ledger.start(1, [task_graph.probe_task()], task_graph.finalize_task())
        await wait_until(lambda: task_script.started("probe"))
        await repository.set_presentation(1, make_presentation(8))
        task_script.clear("probe")  # which finds 20 seconds
        await wait_for_job(ledger, 1)
        assert len(task_script.started("probe")) == 2  # once more, for the playlists of the film that counts
        assert repository.records[1].presentation == make_presentation(8)
        assert sorted(task_script.started("chunk")) == ["0", "1"]
        assert (await task_of(ledger, 1, "probe")).attempts == 1


async def test_two_workers_on_one_ledger_do_every_task_once(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    async with open_ledger(redis_url) as one, open_ledger(redis_url) as two:
        async with (
            running_worker(one, repository, tmp_path, name="one"),
            running_worker(two, repository, tmp_path, name="two"),
        ):
            for film in (1, 2, 3):
                await begin(one, repository, film)
            for film in (1, 2, 3):
                await wait_for_job(one, film)
        assert sorted(task_script.started("chunk")) == sorted([*CHUNKS] * 3)
        assert len(task_script.started("finish")) == 3


async def test_a_worker_whose_lease_was_given_away_stops_and_changes_nothing(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("chunk", "work")
    async with (
        open_ledger(redis_url) as ledger,
        running_worker(ledger, repository, tmp_path),
        Redis.from_url(redis_url) as redis,
    ):
        await begin(ledger, repository)
        await running(ledger, 1, "chunk")
        (lost,) = await redis.zrange("videoflix:leases", 0, -1)
        await redis.zadd("videoflix:leases", {lost: 1})  # as if it had not renewed for long
        await ledger.reap()
        await wait_until(lambda: len(task_script.started("chunk")) == 2)
        task_script.clear("chunk")
        await wait_for_job(ledger, 1)
        assert repository.completed_tasks.count("chunk:0") == 1
        chunk = await task_of(ledger, 1, "chunk:0000")
        assert (chunk.state, chunk.attempts) == (State.SUCCEEDED, 2)


async def test_after_a_standstill_leases_get_their_time_once_more(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository
) -> None:
    times = replace(FAST_TIMING, lease_ttl_s=4.0)
    async with (
        open_ledger(redis_url, times) as ledger,
        open_ledger(redis_url, replace(times, lease_ttl_s=0.5)) as other,
        Redis.from_url(redis_url) as redis,
    ):
        repository.add(1)
        await ledger.start(1, [task_graph.probe_task()], task_graph.finalize_task())
        lease = await ledger.claim([Queue.PROBE], "another worker on this machine")
        assert isinstance(lease, Lease)
        async with running_worker(ledger, repository, tmp_path):
            await wait_until(lambda: redis.exists("videoflix:reaper"))
            assert await other.renew(lease, 0.5) is LeaseState.RUNNING
            time.sleep(times.lease_ttl_s / 2 + 0.1)  # as when the lid of a laptop is closed; nobody looks after leases
            await wait_until(lambda: redis.exists("videoflix:reaper"))  # it looked
            assert await ledger.renew(lease, 0.5) is LeaseState.RUNNING


async def test_a_volume_that_is_slow_to_tell_its_room_holds_nothing_up(
    redis_url: str,
    tmp_path: Path,
    repository: InMemoryRepository,
    task_script: TaskScript,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, may_answer, ask, answered = threading.Event(), threading.Event(), shutil.disk_usage, []

    def disk_usage(path: Path) -> object:
        asked.set()
        answered.append(may_answer.wait(20))
        return ask(path)

    task_script.set("chunk", "work")
    async with open_ledger(redis_url, PATIENT) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await running(ledger, 1, "chunk")
        monkeypatch.setattr(shutil, "disk_usage", disk_usage)
        await wait_until(asked.is_set)
        task_script.clear("chunk")
        await wait_for_job(ledger, 1)
        may_answer.set()
    assert all(answered)  # nobody had to wait until it gave up


async def test_while_the_media_volume_is_away_no_video_fails(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository
) -> None:
    root = tmp_path / "mounted"
    away = tmp_path / "away"
    TaskScript(root).set("chunk", "work")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, root):
        await begin(ledger, repository)
        await running(ledger, 1, "chunk")
        root.rename(away)
        root.mkdir()

        async def is_shown() -> bool:
            return (await get_job(ledger, 1)).waits_for == "the media volume" and not await ledger.count_active_leases(
                1
            )

        await wait_until(is_shown)
        await asyncio.sleep(2 * ledger.timing.disk_full_pause_s)
        assert not (root / "hls").exists()
        shutil.rmtree(root)
        away.rename(root)
        TaskScript(root).clear("chunk")
        await wait_for_job(ledger, 1)
        assert repository.status[1] == "ready"


async def test_a_volume_that_cannot_be_asked_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hls").mkdir()
    room, measure = DiskGuard(tmp_path, 0, 0), shutil.disk_usage
    await room.measure()
    assert room.can_start()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: measure("/nonexistent"))
    watching = asyncio.create_task(room.run(0.01))
    await wait_until(lambda: not room.can_start())
    assert (room.can_serve(), room.can_continue()) == (False, False)
    monkeypatch.setattr(shutil, "disk_usage", measure)
    await wait_until(room.can_start)
    await cancel_and_wait([watching])


async def test_an_emptied_redis_costs_the_work_in_flight_and_no_more(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    async with (
        open_ledger(redis_url) as ledger,
        running_worker(ledger, repository, tmp_path),
        Redis.from_url(redis_url) as redis,
    ):
        await begin(ledger, repository)
        await wait_until(lambda: "chunk:0" in repository.completed_tasks)
        task_script.set("chunk", "work")
        await redis.flushdb()
        task_script.clear("chunk")
        await wait_until(lambda: repository.status[1] == "ready")
        assert task_script.started("chunk").count("0") == 1


async def test_finished_chunks_whose_files_were_lost_are_made_again(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    async with open_ledger(redis_url) as ledger:
        repository.add(1, make_presentation(20), chunks=[0, 1])
        folder = paths.rendition_dir(tmp_path, 1, "480p")
        folder.mkdir(parents=True)
        (folder / "0000.ts").touch()  # chunk 0 alone
        async with running_worker(ledger, repository, tmp_path):
            await wait_until(lambda: repository.status[1] == "ready")
        assert sorted(task_script.started("chunk")) == ["1", "2"]


async def test_a_seek_brings_its_chunk_to_the_front(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("chunk", "work")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        engine = Engine(ledger, tmp_path)
        repository.add(1, make_presentation(400))
        await ledger.start(1, [task_graph.probe_task()], task_graph.finalize_task())
        await wait_until(lambda: task_script.started("chunk"))
        await engine.request_segment(1, "480p", 99)
        task_script.clear("chunk")
        await wait_until(lambda: len(task_script.started("chunk")) >= 2)
        grid = make_presentation(400).grid
        assert task_script.started("chunk")[1] == str(grid.chunk_of(99))
        await engine.close()


async def test_work_on_a_video_that_the_catalogue_does_not_know_is_dropped(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository
) -> None:
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        await ledger.start(5, [task_graph.probe_task()], task_graph.finalize_task())
        await wait_for_job(ledger, 5, State.CANCELLED)
        state, _ = await ledger.request_segment(5, task_graph.segment_task("480p", 0), "a web process")
        assert state is LeaseState.QUEUED

        async def is_refused() -> bool:
            return (await ledger.request_segment(5, task_graph.segment_task("480p", 0), "a web process"))[
                0
            ] is LeaseState.DEAD

        await wait_until(is_refused)
