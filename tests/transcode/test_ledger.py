"""The ledger (job queue) in Redis: its moves one by one, their races, leases, outages and notices."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from tests.support.fast_timing import FAST_TIMING
from tests.support.waiting import wait_until
from tests.support.workers import open_ledger
from transcode.aio import cancel_and_wait
from transcode.ledger import (
    LIVE,
    JobProgress,
    Lease,
    LeaseState,
    Ledger,
    LedgerUnavailable,
    NewTask,
    Queue,
    ReapedTask,
    RetryLater,
    State,
    views,
)

ALL = (Queue.ON_DEMAND, Queue.PROBE, Queue.BATCH)
FINISH = NewTask("finish", "finish", priority=90)
PROBE = NewTask("probe", "probe", queue=Queue.PROBE)


def chunk(index: int, **more: object) -> NewTask:
    return replace(NewTask(f"chunk-{index}", "chunk", index, priority=50, weight=10), **more)  # type: ignore[arg-type]


def segment(number: int, rendition: str = "480p") -> NewTask:
    return NewTask(f"segment-{rendition}-{number}", "segment", number, rendition, queue=Queue.ON_DEMAND, max_attempts=2)


async def take(ledger: Ledger, *lanes: Queue) -> Lease:
    lease = await ledger.claim(lanes or ALL, "w")
    assert isinstance(lease, Lease)
    return lease


async def reaped_in_time(ledger: Ledger) -> list[ReapedTask]:
    """What a reaper takes that looks often, as it should."""
    reaped: list[ReapedTask] = []

    async def look() -> bool:
        reaped.extend(await ledger.reap())
        return bool(reaped)

    await wait_until(look)
    return reaped


async def state_of(ledger: Ledger, film: int, task: str) -> State:
    job = await ledger.views.job(film)
    assert job is not None
    return next(view.state for view in job.tasks if view.id == task)


async def test_a_job_runs_from_its_first_task_to_the_final_one(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        assert await ledger.start(7, [PROBE], FINISH) == ("7.1", True)
        probe = await take(ledger)
        assert (probe.video_id, probe.kind, probe.attempt, probe.max_attempts) == (7, "probe", 1, 4)
        await ledger.complete(probe, {"a": 1}, [chunk(0), chunk(1)], weights=(22, 0))
        for expected in ("chunk-0", "chunk-1", "finish"):
            lease = await take(ledger)
            assert lease.task_id == expected
            assert await ledger.complete(lease, {}) is LeaseState.SUCCEEDED
        assert await ledger.claim(ALL, "w") is None
        assert await ledger.views.job_states([7, 8]) == {7: State.SUCCEEDED}


async def test_starting_a_video_twice_leaves_the_live_job_alone(redis_url: str) -> None:
    async with open_ledger(redis_url) as one, open_ledger(redis_url) as two:
        answers = await asyncio.gather(*(ledger.start(7, [PROBE], FINISH) for ledger in (one, two) * 5))
        assert sorted(new for _, new in answers) == [False] * 9 + [True]
        assert len({job for job, _ in answers}) == 1


async def test_a_finished_job_is_replaced_by_one_with_another_id(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(7, [PROBE], FINISH)
        await ledger.cancel(7)
        assert await ledger.start(7, [PROBE], FINISH) == ("7.2", True)


async def test_a_job_without_open_tasks_goes_straight_to_the_closing_one(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(7, [], FINISH)
        assert (await take(ledger)).task_id == "finish"


async def test_the_smallest_priority_goes_first_and_then_the_oldest(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [chunk(0), chunk(1), chunk(2, priority=10)], FINISH)
        await ledger.start(2, [chunk(0, priority=20)], FINISH)
        order = [(lease.video_id, lease.task_id) for lease in [await take(ledger) for _ in range(4)]]
        assert order == [(1, "chunk-2"), (2, "chunk-0"), (1, "chunk-0"), (1, "chunk-1")]


async def test_a_promoted_task_goes_first_even_when_enqueued_later(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [chunk(0), chunk(1), chunk(2)], FINISH)
        assert await ledger.promote(1, "chunk-1")
        assert await ledger.promote(1, "chunk-9")
        first = await take(ledger)
        assert first.task_id == "chunk-1"
        await ledger.complete(first, {}, [chunk(8), chunk(9)])
        assert [(await take(ledger)).task_id for _ in range(4)] == ["chunk-9", "chunk-0", "chunk-2", "chunk-8"]
        assert not await ledger.promote(1, "chunk-1")


async def test_a_claim_looks_only_into_its_lanes(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [chunk(0), PROBE], FINISH)
        assert await ledger.claim([Queue.ON_DEMAND], "w") is None
        assert (await take(ledger, Queue.PROBE)).kind == "probe"
        assert await ledger.claim([Queue.PROBE], "w") is None


async def test_a_claim_that_is_sent_twice_gets_one_task(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [chunk(0), chunk(1)], FINISH)
        first = await ledger.claim(ALL, "w", "same")
        assert await ledger.claim(ALL, "w", "same") == first
        assert await state_of(ledger, 1, "chunk-1") is State.QUEUED


@pytest.mark.parametrize("end", ["cancel", "forget"])
async def test_a_repeated_claim_gets_another_task_when_the_first_is_void(redis_url: str, end: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [chunk(0)], FINISH)
        await ledger.start(2, [chunk(0)], FINISH)
        assert (await ledger.claim(ALL, "w", "same")).video_id == 1
        await getattr(ledger, end)(1)
        assert (await ledger.claim(ALL, "w", "same")).video_id == 2
        assert await ledger.claim(ALL, "w") is None
        assert await ledger.count_active_leases(1) == 0


async def test_concurrent_claimers_never_get_the_same_task(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [chunk(i) for i in range(60)], FINISH)

        async def claimer(name: str) -> list[str]:
            taken = []
            async with open_ledger(redis_url) as own:
                while isinstance(lease := await own.claim(ALL, name), Lease):
                    taken.append(lease.task_id)
            return taken

        shares = await asyncio.gather(*(claimer(f"w{i}") for i in range(6)))
        taken = [task for share in shares for task in share]
        assert len(taken) == len(set(taken)) == 60


async def test_failures_are_retried_with_backoff_until_the_job_dies(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [chunk(0, max_attempts=2), chunk(1), chunk(2)], FINISH)
        failing, running = await take(ledger), await take(ledger)
        assert await ledger.fail(failing, "It broke.", "ffmpeg: no", delay=0.15) is LeaseState.RETRYING
        assert await ledger.fail(failing, "It broke.", "ffmpeg: no", delay=0.15) is LeaseState.RETRYING
        await take(ledger)
        due = await ledger.claim(ALL, "w")
        assert isinstance(due, RetryLater)
        assert 0 < due.delay_s <= 0.15
        await asyncio.sleep(due.delay_s + 0.02)
        again = await take(ledger)
        assert (again.task_id, again.attempt) == ("chunk-0", 2)
        assert await ledger.fail(again, "It broke again.", "ffmpeg: never") is LeaseState.DEAD
        job = await ledger.views.job(1)
        assert job is not None
        assert (job.state, job.error) == (State.DEAD, "It broke again.")
        assert {task.id: task.state for task in job.tasks} == {
            "chunk-0": State.DEAD, "chunk-1": State.CANCELLED, "chunk-2": State.CANCELLED,
        }  # fmt: skip
        assert next(task.last_words for task in job.tasks if task.id == "chunk-0") == "ffmpeg: never"
        assert await ledger.renew(running, 0.5) is LeaseState.CANCELLED
        assert await ledger.complete(running, {}) is LeaseState.CANCELLED


async def test_a_hopeless_failure_is_not_retried(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [PROBE], FINISH)
        assert await ledger.fail(await take(ledger), "No film.", permanent=True) is LeaseState.DEAD


async def test_an_optional_task_that_dies_does_not_stop_the_job(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [NewTask("storyboard", "storyboard", optional=True)], FINISH)
        assert await ledger.fail(await take(ledger), "No pictures.", permanent=True) is LeaseState.DEAD
        finish = await take(ledger)
        assert finish.task_id == "finish"
        await ledger.complete(finish, {})
        assert (await ledger.views.job_states([1]))[1] is State.SUCCEEDED


async def test_a_dead_job_is_forgotten_and_opened_again_with_all_attempts(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        tasks = [chunk(0, max_attempts=1), chunk(1)]
        await ledger.start(1, tasks, FINISH)
        assert await ledger.fail(await take(ledger), "No.") is LeaseState.DEAD
        assert await ledger.claim(ALL, "w") is None
        await ledger.forget(1)
        assert await ledger.start(1, tasks, FINISH) == ("1.2", True)
        for _ in range(3):
            lease = await take(ledger)
            assert lease.attempt == 1
            await ledger.complete(lease, {})
        assert (await ledger.views.job_states([1]))[1] is State.SUCCEEDED


async def test_renewing_keeps_a_lease_and_releases_follow_ups_once(redis_url: str) -> None:
    async with open_ledger(redis_url, replace(FAST_TIMING, lease_ttl_s=0.3)) as ledger:
        await ledger.start(1, [NewTask("audio", "audio")], FINISH)
        audio = await take(ledger)
        for _ in range(5):
            await asyncio.sleep(0.1)
            assert await ledger.renew(audio, 0.5, 1, [chunk(0)]) is LeaseState.RUNNING
            assert await ledger.reap() == []
        assert (await take(ledger)).task_id == "chunk-0"
        assert await ledger.claim(ALL, "w") is None


async def test_a_worker_whose_lease_was_reaped_can_change_nothing(redis_url: str) -> None:
    async with open_ledger(redis_url, replace(FAST_TIMING, lease_ttl_s=0.1)) as ledger:
        await ledger.start(1, [chunk(0)], FINISH)
        late = await take(ledger)
        reaped = await reaped_in_time(ledger)
        assert [(one.task_id, one.state) for one in reaped] == [("chunk-0", State.RETRYING)]
        assert await ledger.renew(late, 1.0, 3, [chunk(5)]) is LeaseState.LOST
        assert await ledger.complete(late, {}, [chunk(6)]) is LeaseState.LOST
        assert await ledger.fail(late, "Late.", permanent=True) is LeaseState.LOST
        assert await ledger.release(late) is LeaseState.LOST
        await asyncio.sleep(FAST_TIMING.segment_retry_backoff_s)
        second = await take(ledger)
        assert second.attempt == 2
        assert await ledger.complete(late, {}) is LeaseState.LOST
        job = await ledger.views.job(1)
        assert job is not None
        assert [task.id for task in job.tasks] == ["chunk-0"]


async def test_nobody_loses_a_lease_while_nobody_could_renew(redis_url: str) -> None:
    """Redis was away, or the machine slept: seen by the reaper, which was not there either."""
    async with open_ledger(redis_url, replace(FAST_TIMING, lease_ttl_s=0.2)) as ledger:
        await ledger.start(1, [chunk(0)], FINISH)
        lease = await take(ledger)
        await ledger.reap()
        await asyncio.sleep(0.3)
        assert await ledger.reap() == []
        assert await ledger.renew(lease, 0.5) is LeaseState.RUNNING
        assert len(await reaped_in_time(ledger)) == 1


async def test_a_clock_that_is_set_back_keeps_nothing_waiting(redis_url: str) -> None:
    timing = replace(FAST_TIMING, lease_ttl_s=0.1)
    async with open_ledger(redis_url, timing) as ledger, Redis.from_url(redis_url) as redis:
        await ledger.start(1, [chunk(0), chunk(1)], FINISH)
        await ledger.fail(await take(ledger), "It broke.", delay=0.1)
        await take(ledger)
        for key in ("leases", "delayed"):  # as it is for Redis when its clock goes an hour back
            ((member, score),) = await redis.zrange(f"videoflix:{key}", 0, -1, withscores=True)
            await redis.zadd(f"videoflix:{key}", {member: score + 3_600_000})
        assert [one.task_id for one in await reaped_in_time(ledger)] == ["chunk-1"]
        await asyncio.sleep(2 * FAST_TIMING.max_retry_backoff_s)
        assert {(await take(ledger)).task_id for _ in range(2)} == {"chunk-0", "chunk-1"}


async def test_the_reaper_and_the_late_worker_race_and_one_of_them_wins(redis_url: str) -> None:
    async with open_ledger(redis_url, replace(FAST_TIMING, lease_ttl_s=0.05, segment_retry_backoff_s=0)) as ledger:
        await ledger.start(1, [chunk(i, max_attempts=9) for i in range(20)], FINISH)
        leases = [await take(ledger) for _ in range(20)]
        await asyncio.sleep(0.02)
        async with open_ledger(redis_url, ledger.timing) as other:

            async def reap() -> int:
                count = 0
                for _ in range(30):
                    count += len(await other.reap())
                    await asyncio.sleep(0.002)
                return count

            async def settle(lease: Lease) -> LeaseState:
                await asyncio.sleep(random.random() * 0.06)
                return await ledger.complete(lease, {})

            reaped, *answers = await asyncio.gather(reap(), *(settle(lease) for lease in leases))
        won = answers.count(LeaseState.SUCCEEDED)
        assert reaped + won == 20
        assert answers.count(LeaseState.LOST) == reaped


async def test_a_settle_that_is_sent_twice_counts_once(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [chunk(0), chunk(1)], FINISH, total=20)
        lease = await take(ledger)
        assert await ledger.complete(lease, {}) is LeaseState.SUCCEEDED
        assert await ledger.complete(lease, {}) is LeaseState.SUCCEEDED
        assert (await ledger.views.progress([1]))[1].percent == 50


async def test_a_released_task_is_there_at_once_with_no_attempt_spent(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [chunk(0)], FINISH)
        for _ in range(6):
            lease = await take(ledger)
            assert lease.attempt == 1
            assert await ledger.release(lease) is LeaseState.QUEUED
            assert await ledger.release(lease) is LeaseState.QUEUED
        assert await ledger.count_active_leases(1) == 0


async def test_a_cancel_takes_what_waits_and_waits_for_what_runs(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [chunk(0), chunk(1)], FINISH)
        await ledger.start(11, [chunk(0)], FINISH)
        running = await take(ledger)
        assert await ledger.cancel(1) == 1
        assert (await take(ledger)).video_id == 11
        assert await ledger.renew(running, 0.3) is LeaseState.CANCELLED
        assert await ledger.count_active_leases(1) == 1
        assert await ledger.release(running) is LeaseState.CANCELLED
        assert await ledger.count_active_leases(1) == 0
        assert (await ledger.views.job_states([1]))[1] is State.CANCELLED


async def test_a_cancel_and_the_end_race_and_the_job_is_one_or_the_other(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger, open_ledger(redis_url) as other:
        for film in range(1, 25):
            await ledger.start(film, [], FINISH)
            lease = await take(ledger)
            moves = [ledger.complete(lease, {}), other.cancel(film)]
            if film % 2:
                moves.reverse()
            await asyncio.gather(*moves)
            again = await ledger.complete(lease, {})
            expected = State.SUCCEEDED if again is LeaseState.SUCCEEDED else State.CANCELLED
            assert (await ledger.views.job_states([film]))[film] is expected


async def test_forgetting_a_video_leaves_no_key_of_it(redis_url: str) -> None:
    async with (
        open_ledger(redis_url, replace(FAST_TIMING, failed_segment_ttl_s=0.05)) as ledger,
        Redis.from_url(redis_url, decode_responses=True) as redis,
    ):
        await ledger.start(1, [chunk(i) for i in range(5)], FINISH)
        await ledger.request_segment(1, segment(3), "web")
        lease = await take(ledger, Queue.BATCH)
        await ledger.cancel(1)
        await ledger.forget(1)
        await asyncio.sleep(0.1)
        assert await ledger.renew(lease, 0.5) is LeaseState.LOST
        await ledger.release(lease)
        assert sorted(await redis.keys("*")) == ["videoflix:order", "videoflix:serial"]


async def test_ended_jobs_are_trimmed_by_age_and_by_number(redis_url: str) -> None:
    async with open_ledger(redis_url, replace(FAST_TIMING, max_ended_jobs=3)) as ledger:
        for film in range(1, 6):
            await ledger.start(film, [], FINISH)
            await ledger.complete(await take(ledger), {})
        for _ in range(4):
            await ledger.reap()
        assert [job.video_id for job in await ledger.views.jobs()] == [5, 4, 3]
    async with (
        open_ledger(redis_url, replace(FAST_TIMING, job_retention_s=0.0)) as ledger,
        Redis.from_url(redis_url, decode_responses=True) as redis,
    ):
        await asyncio.sleep(0.01)
        await ledger.reap()
        assert await ledger.views.jobs() == []
        assert sorted(await redis.keys("*")) == ["videoflix:order", "videoflix:reaper", "videoflix:serial"]


async def test_progress_is_weighted_and_counts_the_running_tasks(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        await ledger.start(1, [chunk(0), chunk(1)], FINISH, total=40, base=20)
        assert (await ledger.views.progress([1]))[1].percent == 50
        await ledger.complete(await take(ledger), {})
        half = await take(ledger)
        await asyncio.sleep(0.05)
        await ledger.renew(half, 0.5)
        progress = (await ledger.views.progress([1]))[1]
        assert progress.percent == 87.5
        left = progress.seconds_left
        assert left is not None
        assert left <= progress.elapsed
        job = await ledger.views.job(1)
        assert job is not None
        assert job.percent == 87.5


def test_a_video_that_has_hardly_begun_has_no_estimate() -> None:
    waits_its_turn = JobProgress(1, State.RUNNING, total=1000, base=0, done=1, elapsed=60)
    assert waits_its_turn.seconds_left is None
    assert replace(waits_its_turn, done=100).seconds_left == 540


async def test_many_videos_are_asked_for_in_several_questions(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_MAX_VIDEOS_PER_QUERY", 2)
    async with open_ledger(redis_url) as ledger:
        for film in range(1, 6):
            await ledger.start(film, [PROBE], FINISH)
        assert await ledger.views.job_states([*range(1, 6), 9]) == dict.fromkeys(range(1, 6), State.QUEUED)
        assert await ledger.views.job_states([]) == {}


async def test_tasks_are_counted_by_their_states(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        for film in range(1, 13):
            await ledger.start(film, [chunk(0), chunk(1)], FINISH)
        await ledger.complete(await take(ledger), {})
        await take(ledger)
        assert await ledger.views.task_states(range(1, 14)) == {"queued": 22, "running": 1, "succeeded": 1}
        assert await ledger.views.task_states([]) == {}


async def test_segment_requests_share_one_task_until_all_are_withdrawn(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        assert (await ledger.request_segment(1, segment(3), "web-a"))[0] is LeaseState.QUEUED
        assert (await ledger.request_segment(1, segment(3), "web-b"))[0] is LeaseState.QUEUED
        lease = await take(ledger, Queue.ON_DEMAND)
        assert (await ledger.request_segment(1, segment(3), "web-b"))[0] is LeaseState.RUNNING
        assert not await ledger.withdraw_segment(1, segment(3), "web-a")
        assert await ledger.renew(lease, 0.1) is LeaseState.RUNNING
        assert await ledger.withdraw_segment(1, segment(3), "web-b")
        assert await ledger.renew(lease, 0.1) is LeaseState.CANCELLED
        await ledger.release(lease)
        assert (await ledger.request_segment(1, segment(3), "web-a"))[0] is LeaseState.QUEUED


async def test_a_segment_that_nobody_wants_any_more_is_not_claimed(redis_url: str) -> None:
    async with open_ledger(redis_url, replace(FAST_TIMING, request_ttl_s=0.1)) as ledger:
        await ledger.request_segment(1, segment(3), "web")
        await asyncio.sleep(0.15)
        assert await ledger.claim(ALL, "w") is None


async def test_a_dead_segment_answers_so_for_a_while_and_harms_no_job(redis_url: str) -> None:
    async with open_ledger(redis_url, replace(FAST_TIMING, failed_segment_ttl_s=0.2)) as ledger:
        await ledger.start(1, [chunk(0)], FINISH)
        await ledger.request_segment(1, segment(3), "web")
        await ledger.fail(await take(ledger, Queue.ON_DEMAND), "No.", permanent=True)
        assert await ledger.request_segment(1, segment(3), "web") == (LeaseState.DEAD, "No.")
        await asyncio.sleep(0.25)
        assert (await ledger.request_segment(1, segment(3), "web"))[0] is LeaseState.QUEUED
        assert (await ledger.views.job_states([1]))[1] in LIVE


async def test_an_emptied_redis_voids_leases_and_takes_new_work(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger, Redis.from_url(redis_url) as redis:
        await ledger.start(1, [chunk(0)], FINISH)
        lease = await take(ledger)
        await redis.flushdb()
        await redis.script_flush()
        assert await ledger.renew(lease, 0.5) is LeaseState.LOST
        assert await ledger.start(1, [chunk(0)], FINISH) == ("1.1", True)
        assert await ledger.complete(lease, {}) is LeaseState.LOST


async def test_an_unreachable_redis_is_one_kind_of_error() -> None:
    async with open_ledger("redis://127.0.0.1:1") as ledger:
        with pytest.raises(LedgerUnavailable):
            await ledger.start(1, [PROBE], FINISH)


async def test_a_redis_that_does_not_answer_counts_as_away(http_port: int) -> None:
    async with open_ledger(f"redis://127.0.0.1:{http_port}", replace(FAST_TIMING, redis_timeout_s=0.1)) as ledger:
        with pytest.raises(LedgerUnavailable, match="does not answer"):
            await ledger.ping()


@pytest.mark.parametrize(
    ("trouble", "end"),
    [("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"), ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE")],
)
async def test_a_redis_that_takes_no_writes_counts_as_away(redis_url: str, trouble: str, end: str) -> None:
    async with open_ledger(redis_url) as ledger, Redis.from_url(redis_url) as redis:
        await redis.execute_command(*trouble.split())
        try:
            for write in (
                ledger.start(1, [PROBE], FINISH),
                ledger.set_pause_reason("free disk space"),
            ):  # a script; a command
                with pytest.raises(LedgerUnavailable):
                    await write
        finally:
            await redis.execute_command(*end.split())


@pytest.mark.parametrize(("policy", "loses"), [("noeviction", False), ("volatile-lru", False), ("allkeys-lru", True)])
async def test_a_redis_that_throws_keys_away_is_noticed(redis_url: str, policy: str, loses: bool) -> None:
    async with open_ledger(redis_url) as ledger, Redis.from_url(redis_url) as redis:
        await redis.config_set("maxmemory-policy", policy)
        try:
            assert await ledger.evicts_keys() is loses
        finally:
            await redis.config_set("maxmemory-policy", "noeviction")


async def test_notices_tell_of_work_segments_and_videos(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger:
        notices, heard = ledger.subscribe(), []
        notices.on_wake.append(heard.append)
        notices.on_video.append(heard.append)
        notices.on_segment.append(heard.append)
        listening = asyncio.create_task(notices.run())
        await notices.connected.wait()
        await ledger.publish_video_changed(5)
        await ledger.request_segment(1, segment(3), "web")
        await ledger.complete(await take(ledger), {})
        async with asyncio.timeout(2):
            while len(heard) < 3:
                await asyncio.sleep(0.01)
        assert heard[:2] == [5, "segment"]
        assert (heard[2].video_id, heard[2].rendition, heard[2].number, heard[2].ok) == (1, "480p", 3, True)
        listening.cancel()


async def test_notices_outlive_what_nobody_understands(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger, Redis.from_url(redis_url) as redis:
        notices, heard = ledger.subscribe(), []
        notices.on_video.append(heard.append)
        listening = asyncio.create_task(notices.run())
        for channel in ("film", "segment"):
            await notices.connected.wait()
            await redis.publish(f"videoflix:{channel}", "of a later version")
            await wait_until(lambda: not notices.connected.is_set())
        await notices.connected.wait()
        await ledger.publish_video_changed(5)
        await wait_until(lambda: heard == [5])
        await cancel_and_wait([listening])


async def test_notices_leave_a_connection_that_leads_nowhere(redis_url: str) -> None:
    timing = replace(FAST_TIMING, poll_interval_s=0.05)
    async with open_ledger(redis_url, timing) as ledger, Redis.from_url(redis_url) as redis:
        notices, gaps = ledger.subscribe(), []
        notices.on_connect.append(lambda: gaps.append(1))
        listening = asyncio.create_task(notices.run())
        await notices.connected.wait()
        await asyncio.sleep(6 * ledger.timing.poll_interval_s)  # silence that is none
        assert len(gaps) == 1
        await redis.client_pause(400)
        await wait_until(lambda: len(gaps) == 2)
        await cancel_and_wait([listening])
