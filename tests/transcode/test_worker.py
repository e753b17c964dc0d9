from __future__ import annotations

import asyncio
import shutil
import threading
import time
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from tests.transcode.obey import Orders, film_of
from tests.transcode.quick import QUICK
from tests.transcode.support import (
    MemoryBook,
    at_work,
    ended,
    job_of,
    open_ledger,
    scratch_of,
    until,
)
from transcode import layout, schedule
from transcode.engine import Engine
from transcode.ledger import Lane, Lease, LeaseState, Ledger, NewTask, State
from transcode.waiting import end
from transcode.worker.room import Room

# On a machine that is busy with other tests, children that are only just there seem to stand still.
PATIENT = replace(QUICK, room=60, stall=60, stall_segment=60, lease=60, interest=60)
CHUNKS = {"0", "1", "2"}  # of twenty seconds


async def begin(ledger: Ledger, book: MemoryBook, film: int = 1, *, sound: bool = True) -> None:
    """A film that was probed before, so that its timeline is the test's choice."""
    book.add(film, film_of(20, sound=sound))
    await ledger.start(film, [schedule.probe()], schedule.finish())


async def running(ledger: Ledger, film: int, kind: str) -> None:
    async def is_running() -> bool:
        return any(task.kind == kind and task.progress > 0 for task in (await job_of(ledger, film)).tasks)

    await until(is_running)


async def task_of(ledger: Ledger, film: int, name: str):
    return next(task for task in (await job_of(ledger, film)).tasks if task.id == name)


async def test_a_film_goes_from_its_probe_to_its_end(redis_url, io_loop, tmp_path, book, orders):
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        book.add(1)
        await ledger.start(1, [schedule.probe()], schedule.finish())
        await ended(ledger, 1)
        assert book.status[1] == "ready"
        assert book.films[1].chunks_done == {0, 1, 2}
        assert sorted(orders.began("chunk")) == sorted(CHUNKS)
        assert len(list(layout.rendition_dir(tmp_path, 1, "480p").glob("*.ts"))) == 5
        await until(lambda: scratch_of(tmp_path) == [])


async def test_chunks_begin_while_the_sound_is_still_being_made(redis_url, io_loop, tmp_path, book, orders):
    orders.give("audio", "one part")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        await begin(ledger, book)
        await until(lambda: "chunk:0" in book.told)
        assert "audio:0" not in book.told
        assert orders.began("chunk") == ["0"]
        orders.take_back("audio")
        await ended(ledger, 1)
        assert sorted(orders.began("chunk")) == sorted(CHUNKS)


async def test_films_that_take_long_to_open_leave_a_hand_for_the_next_and_one_for_the_rest(
    redis_url, io_loop, tmp_path, book, orders
):
    orders.give("probe", "work")  # as with those that are copied first
    async with open_ledger(redis_url) as ledger:
        for film in (1, 2, 3, 4):
            book.add(film)
            await ledger.start(film, [schedule.probe()], schedule.finish())
        book.add(5, film_of(4, sound=True))
        others = [NewTask("thumbnail", "thumbnail"), NewTask("audio", "audio", lane=Lane.SOUND)]
        await ledger.start(5, others, schedule.finish())
        async with at_work(ledger, book, tmp_path, slots=2):
            await until(lambda: len(orders.began("probe")) == 3 and {"thumbnail:0", "audio:0"} <= set(book.told))


async def test_a_worker_that_leaves_gives_its_tasks_back_without_spending_an_attempt(
    redis_url, io_loop, tmp_path, book, orders
):
    orders.give("chunk", "work")
    async with open_ledger(redis_url) as ledger:
        await begin(ledger, book)
        async with at_work(ledger, book, tmp_path) as worker:
            await running(ledger, 1, "chunk")
            leaves = time.monotonic()
            worker.stop()
        assert time.monotonic() - leaves < ledger.times.leave
        chunk = await task_of(ledger, 1, "chunk:0000")
        assert (chunk.state, chunk.attempts) == (State.QUEUED, 0)
        assert [path for path in scratch_of(tmp_path) if path.name == "half-made"] == []
        orders.take_back("chunk")
        async with at_work(ledger, book, tmp_path):
            await ended(ledger, 1)
        assert orders.began("audio") == ["0"]  # what was finished is not done again


async def test_a_worker_leaves_in_good_order_also_while_redis_is_away(redis_url, io_loop, tmp_path, book):
    async with (
        Redis.from_url("redis://127.0.0.1:1/0") as nowhere,
        at_work(Ledger(nowhere, times=QUICK), book, tmp_path),
    ):
        await asyncio.sleep(0.3)  # all slots have asked in vain


@pytest.mark.parametrize("kind", ["probe", "audio", "chunk", "segment"])
async def test_deleting_a_film_stops_its_work_and_leaves_nothing_behind(
    redis_url, io_loop, tmp_path, book, orders, kind
):
    orders.give(kind, "work")
    source = tmp_path / "videos" / "1.mp4"
    source.parent.mkdir()
    source.touch()
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        engine = Engine(ledger, tmp_path)
        await begin(ledger, book)
        waiting = [] if kind != "segment" else [asyncio.create_task(engine.want_segment(1, "480p", 4))]
        if waiting:
            orders.give("chunk", "work")
        await running(ledger, 1, kind)
        book.delete(1)
        await engine.delete(1, "videos/1.mp4")

        async def is_gone() -> bool:
            left = layout.remains(tmp_path, 1, "videos/1.mp4") or await ledger.job(1) or await ledger.held(1)
            return not left

        await until(is_gone)
        for request in waiting:
            with pytest.raises(Exception, match="deleted"):
                await request
        await engine.close()


async def test_a_child_that_does_not_stop_is_killed(redis_url, io_loop, tmp_path, book, orders):
    orders.give("chunk", "be deaf")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        await begin(ledger, book)
        await until(lambda: orders.began("chunk"))
        await book.failed(1, "It was cancelled.")
        assert await ledger.cancel(1) > 0

        async def nobody_holds() -> bool:
            return await ledger.held(1) == 0

        await until(nobody_holds)
        book.add(2, film_of(4))
        orders.take_back("chunk")
        await ledger.start(2, [schedule.probe()], schedule.finish())
        await ended(ledger, 2)  # by the child that took its place


async def test_work_that_stands_still_is_stopped_and_tried_again(redis_url, io_loop, tmp_path, book, orders):
    orders.give("chunk", "hang")
    async with open_ledger(redis_url, replace(QUICK, stall=1.0)) as ledger, at_work(ledger, book, tmp_path):
        await begin(ledger, book)

        async def was_stopped() -> bool:
            tasks = (await job_of(ledger, 1)).tasks
            return any(task.id == "chunk:0000" and "stands still" in task.error for task in tasks)

        await until(was_stopped)
        orders.take_back("chunk")
        await ended(ledger, 1)
        assert (await task_of(ledger, 1, "chunk:0000")).attempts >= 2


async def test_a_task_that_fails_too_often_fails_the_film_with_the_last_words_for_the_admin(
    redis_url, io_loop, tmp_path, book, orders
):
    orders.give("chunk", "fail")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        await begin(ledger, book)
        await ended(ledger, 1, State.DEAD)
        await until(lambda: book.status[1] == "failed: It failed.")
        dead = next(task for task in (await job_of(ledger, 1)).tasks if task.state is State.DEAD)
        assert (dead.attempts, dead.last_words) == (4, "the last words")
        await until(lambda: scratch_of(tmp_path) == [])


async def test_a_hopeless_film_says_why_and_is_not_tried_again(redis_url, io_loop, tmp_path, book, orders):
    orders.give("probe", "no hope")
    async with open_ledger(redis_url) as ledger:
        book.add(1)
        await ledger.start(1, [schedule.probe()], schedule.finish())
        async with at_work(ledger, book, tmp_path):
            await until(lambda: book.status[1] == "failed: This file is not a film.")
        assert len(orders.began("probe")) == 1


@pytest.mark.parametrize("order", ["die", "stumble"])
async def test_a_child_that_dies_or_stumbles_costs_one_attempt(redis_url, io_loop, tmp_path, book, orders, order):
    orders.give("chunk", order)
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        await begin(ledger, book)
        await until(lambda: len(orders.began("chunk")) >= 2)
        orders.take_back("chunk")
        await ended(ledger, 1)
        assert book.status[1] == "ready"


async def test_a_full_disk_spends_no_attempt_and_is_shown_until_there_is_room(
    redis_url, io_loop, tmp_path, book, orders
):
    orders.give("chunk", "no room")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        await begin(ledger, book)
        await until(lambda: len(orders.began("chunk")) >= 6)  # more often than a task has attempts

        async def is_shown() -> bool:
            return (await ledger.progress([1]))[1].waits_for == "free disk space"

        await until(is_shown)
        orders.take_back("chunk")
        await ended(ledger, 1)
        assert (await ledger.progress([1]))[1].waits_for == ""
        assert (await task_of(ledger, 1, "chunk:0000")).attempts == 1


async def test_what_is_too_large_for_the_disk_keeps_no_other_work_waiting(redis_url, io_loop, tmp_path, book, orders):
    orders.give("thumbnail", "too large")
    async with open_ledger(redis_url, PATIENT) as ledger, at_work(ledger, book, tmp_path):
        await begin(ledger, book)
        await until(lambda: book.films[1].chunks_done == {0, 1, 2} and len(orders.began("thumbnail")) > 1)
        assert (await task_of(ledger, 1, "thumbnail")).error == "There is no room for it."
        orders.take_back("thumbnail")
        await ended(ledger, 1)
        assert (await task_of(ledger, 1, "thumbnail")).attempts == 1


async def test_a_disk_that_ran_full_gets_a_pause_also_from_what_viewers_wait_for(
    redis_url, io_loop, tmp_path, book, orders
):
    orders.give("segment", "no room")
    async with open_ledger(redis_url, PATIENT) as ledger, at_work(ledger, book, tmp_path):
        book.add(1, film_of(20))
        await ledger.want(1, schedule.segment("480p", 4), "a web process")
        await until(lambda: orders.began("segment"))
        await asyncio.sleep(0.3)
        assert orders.began("segment") == ["4"]


async def test_work_pauses_below_the_reserve_and_goes_on_above_it(
    redis_url, io_loop, tmp_path, book, orders, monkeypatch
):
    """The volume itself fills up in tests/acceptance/test_faults.py; here the numbers are moved by hand."""
    free = [1000]
    monkeypatch.setattr(Room, "_measured", lambda self: free[0])
    orders.give("chunk", "work")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path, min_free=100):
        await begin(ledger, book)
        await running(ledger, 1, "chunk")
        free[0] = 60  # nothing new is begun, what runs goes on
        await asyncio.sleep(3 * ledger.times.heartbeat)
        assert (await task_of(ledger, 1, "chunk:0000")).state is State.RUNNING
        free[0] = 40

        async def is_paused() -> bool:
            return (await job_of(ledger, 1)).waits_for == "free disk space" and not await ledger.held(1)

        await until(is_paused)
        orders.take_back("chunk")
        assert orders.began("chunk") == ["0"]
        free[0] = 1000
        await ended(ledger, 1)


async def test_a_database_that_is_away_is_waited_for(redis_url, io_loop, tmp_path, book, orders):
    orders.give("chunk", "work")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        await begin(ledger, book)
        await running(ledger, 1, "chunk")
        book.away = True
        orders.take_back("chunk")
        await asyncio.sleep(1.5 * ledger.times.lease)
        assert (await task_of(ledger, 1, "chunk:0000")).state is State.RUNNING  # done, and kept until it can be told
        book.away = False
        await ended(ledger, 1)
        assert sorted(orders.began("chunk")) == sorted(CHUNKS)


async def test_a_bug_between_worker_and_catalogue_fails_the_film_and_nothing_else(
    redis_url, io_loop, tmp_path, book, orders, caplog
):
    book.broken.add("chunk")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        await begin(ledger, book, sound=False)
        await until(lambda: book.status[1] == "failed: The worker stumbled over an error of its own.")
        dead = next(task for task in (await job_of(ledger, 1)).tasks if task.state is State.DEAD)
        assert dead.attempts == 4
        assert "TypeError: no chunk can be written" in dead.last_words
        assert any("task_stumbles" in record.message and record.exc_info for record in caplog.records)
        book.broken.clear()
        await begin(ledger, book, 2)
        await ended(ledger, 2)
        assert book.status[2] == "ready"


async def test_of_two_probes_of_a_film_the_first_one_that_told_the_catalogue_counts(
    redis_url, io_loop, tmp_path, book, orders
):
    """As when a worker was paused just before it told of its own, and another version of us runs beside it."""
    orders.give("probe", "work")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        book.add(1)
        await ledger.start(1, [schedule.probe()], schedule.finish())
        await until(lambda: orders.began("probe"))
        await book.probed(1, film_of(8).as_json())
        orders.take_back("probe")  # which finds 20 seconds
        await ended(ledger, 1)
        assert len(orders.began("probe")) == 2  # once more, for the playlists of the film that counts
        assert book.films[1].timeline == film_of(8).as_json()
        assert sorted(orders.began("chunk")) == ["0", "1"]
        assert (await task_of(ledger, 1, "probe")).attempts == 1


async def test_two_workers_on_one_ledger_do_every_task_once(redis_url, io_loop, tmp_path, book, orders):
    async with open_ledger(redis_url) as one, open_ledger(redis_url) as two:
        async with at_work(one, book, tmp_path, name="one"), at_work(two, book, tmp_path, name="two"):
            for film in (1, 2, 3):
                await begin(one, book, film)
            for film in (1, 2, 3):
                await ended(one, film)
        assert sorted(orders.began("chunk")) == sorted([*CHUNKS] * 3)
        assert len(orders.began("finish")) == 3


async def test_a_worker_whose_lease_was_given_away_stops_and_changes_nothing(
    redis_url, io_loop, tmp_path, book, orders
):
    orders.give("chunk", "work")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path), Redis.from_url(redis_url) as redis:
        await begin(ledger, book)
        await running(ledger, 1, "chunk")
        (lost,) = await redis.zrange("videoflix:leases", 0, -1)
        await redis.zadd("videoflix:leases", {lost: 1})  # as if it had not renewed for long
        await ledger.reap()
        await until(lambda: len(orders.began("chunk")) == 2)
        orders.take_back("chunk")
        await ended(ledger, 1)
        assert book.told.count("chunk:0") == 1
        chunk = await task_of(ledger, 1, "chunk:0000")
        assert (chunk.state, chunk.attempts) == (State.SUCCEEDED, 2)


async def test_after_a_standstill_leases_get_their_time_once_more(redis_url, io_loop, tmp_path, book):
    times = replace(QUICK, lease=4.0)
    async with (
        open_ledger(redis_url, times) as ledger,
        open_ledger(redis_url, replace(times, lease=0.5)) as other,
        Redis.from_url(redis_url) as redis,
    ):
        book.add(1)
        await ledger.start(1, [schedule.probe()], schedule.finish())
        lease = await ledger.claim([Lane.OPENING], "another worker on this machine")
        assert isinstance(lease, Lease)
        async with at_work(ledger, book, tmp_path):
            await until(lambda: redis.exists("videoflix:reaper"))
            assert await other.renew(lease, 0.5) is LeaseState.RUNNING
            time.sleep(times.lease / 2 + 0.1)  # as when the lid of a laptop is closed; nobody looks after leases
            await until(lambda: redis.exists("videoflix:reaper"))  # it looked
            assert await ledger.renew(lease, 0.5) is LeaseState.RUNNING


async def test_a_volume_that_is_slow_to_tell_its_room_holds_nothing_up(
    redis_url, io_loop, tmp_path, book, orders, monkeypatch
):
    asked, may_answer, ask, answered = threading.Event(), threading.Event(), shutil.disk_usage, []

    def disk_usage(path):
        asked.set()
        answered.append(may_answer.wait(20))
        return ask(path)

    orders.give("chunk", "work")
    async with open_ledger(redis_url, PATIENT) as ledger, at_work(ledger, book, tmp_path):
        await begin(ledger, book)
        await running(ledger, 1, "chunk")
        monkeypatch.setattr(shutil, "disk_usage", disk_usage)
        await until(asked.is_set)
        orders.take_back("chunk")
        await ended(ledger, 1)
        may_answer.set()
    assert all(answered)  # nobody had to wait until it gave up


async def test_while_the_media_volume_is_away_no_film_fails(redis_url, io_loop, tmp_path, book):
    root = tmp_path / "mounted"
    away = tmp_path / "away"
    Orders(root).give("chunk", "work")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, root):
        await begin(ledger, book)
        await running(ledger, 1, "chunk")
        root.rename(away)
        root.mkdir()

        async def is_shown() -> bool:
            return (await job_of(ledger, 1)).waits_for == "the media volume" and not await ledger.held(1)

        await until(is_shown)
        await asyncio.sleep(2 * ledger.times.room)
        assert not (root / "hls").exists()
        shutil.rmtree(root)
        away.rename(root)
        Orders(root).take_back("chunk")
        await ended(ledger, 1)
        assert book.status[1] == "ready"


async def test_a_volume_that_cannot_be_asked_is_away(io_loop, tmp_path, monkeypatch):
    (tmp_path / "hls").mkdir()
    room, measure = Room(tmp_path, 0, 0), shutil.disk_usage
    await room.look()
    assert room.to_begin()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: measure("/nonexistent"))
    watching = asyncio.create_task(room.watch(0.01))
    await until(lambda: not room.to_begin())
    assert (room.to_serve(), room.to_go_on()) == (False, False)
    monkeypatch.setattr(shutil, "disk_usage", measure)
    await until(room.to_begin)
    await end([watching])


async def test_an_emptied_redis_costs_the_work_in_flight_and_no_more(redis_url, io_loop, tmp_path, book, orders):
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path), Redis.from_url(redis_url) as redis:
        await begin(ledger, book)
        await until(lambda: "chunk:0" in book.told)
        orders.give("chunk", "work")
        await redis.flushdb()
        orders.take_back("chunk")
        await until(lambda: book.status[1] == "ready")
        assert orders.began("chunk").count("0") == 1


async def test_finished_chunks_whose_files_were_lost_are_made_again(redis_url, io_loop, tmp_path, book, orders):
    async with open_ledger(redis_url) as ledger:
        book.add(1, film_of(20), chunks=[0, 1])
        folder = layout.rendition_dir(tmp_path, 1, "480p")
        folder.mkdir(parents=True)
        (folder / "0000.ts").touch()  # chunk 0 alone
        async with at_work(ledger, book, tmp_path):
            await until(lambda: book.status[1] == "ready")
        assert sorted(orders.began("chunk")) == ["1", "2"]


async def test_a_seek_brings_its_chunk_to_the_front(redis_url, io_loop, tmp_path, book, orders):
    orders.give("chunk", "work")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        engine = Engine(ledger, tmp_path)
        book.add(1, film_of(400))
        await ledger.start(1, [schedule.probe()], schedule.finish())
        await until(lambda: orders.began("chunk"))
        await engine.want_segment(1, "480p", 99)
        orders.take_back("chunk")
        await until(lambda: len(orders.began("chunk")) >= 2)
        grid = film_of(400).grid
        assert orders.began("chunk")[1] == str(grid.chunk_of(99))
        await engine.close()


async def test_work_on_a_film_that_the_catalogue_does_not_know_is_dropped(redis_url, io_loop, tmp_path, book):
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        await ledger.start(5, [schedule.probe()], schedule.finish())
        await ended(ledger, 5, State.CANCELLED)
        state, _ = await ledger.want(5, schedule.segment("480p", 0), "a web process")
        assert state is LeaseState.QUEUED

        async def is_refused() -> bool:
            return (await ledger.want(5, schedule.segment("480p", 0), "a web process"))[0] is LeaseState.DEAD

        await until(is_refused)
