"""Waiting for segments: what web processes use of the engine, here with workers played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.support.fast_timing import FAST_TIMING
from tests.support.repository import InMemoryRepository
from tests.support.scripted_tasks import TaskScript, make_presentation
from tests.support.waiting import wait_until
from tests.support.workers import open_ledger, running_worker, wait_for_job
from transcode import paths, task_graph
from transcode.engine import Engine
from transcode.ledger import Lease, Ledger, Queue
from transcode.pending_segment import SegmentFailed, SegmentTimeout
from transcode.waiter_limit import TooManyWaiters


@asynccontextmanager
async def engine_on(ledger: Ledger, root: Path, **options: int) -> AsyncIterator[Engine]:
    engine = Engine(ledger, root, **options)
    paths.rendition_dir(root, 1, "480p").mkdir(parents=True, exist_ok=True)
    try:
        yield engine
    finally:
        await engine.close()


redis_of = Redis.from_url


def ask(engine: Engine, number: int = 3, viewer: str = "") -> asyncio.Task[None]:
    return asyncio.create_task(engine.request_segment(1, "480p", number, viewer))


async def taken(ledger: Ledger) -> Lease:
    """The next segment that somebody waits for, as a worker gets it."""
    found: list[Lease] = []

    async def is_there() -> bool:
        lease = await ledger.claim([Queue.ON_DEMAND], "worker")
        found.extend([lease] if isinstance(lease, Lease) else [])
        return bool(found)

    await wait_until(is_there)
    return found[0]


async def publish(ledger: Ledger, root: Path, lease: Lease) -> None:
    paths.segment_path(root, 1, lease.rendition, lease.index).touch()
    await ledger.complete(lease, {})


async def test_a_segment_that_is_there_needs_no_ledger(redis_url: str, tmp_path: Path) -> None:
    async with Redis.from_url("redis://127.0.0.1:1/0") as nowhere, engine_on(Ledger(nowhere), tmp_path) as engine:
        paths.segment_path(tmp_path, 1, "480p", 3).touch()
        await engine.request_segment(1, "480p", 3)


async def test_many_viewers_in_many_processes_cause_one_encode(redis_url: str, tmp_path: Path) -> None:
    async with open_ledger(redis_url) as ledger, engine_on(ledger, tmp_path) as one, engine_on(ledger, tmp_path) as two:
        waiting = [ask(engine, viewer=f"viewer {number}") for engine in (one, two) for number in range(10)]
        lease = await taken(ledger)
        await asyncio.sleep(2 * ledger.timing.file_poll_interval_s)  # those who look again ask for nothing more
        assert not isinstance(await ledger.claim([Queue.ON_DEMAND], "worker"), Lease)
        await publish(ledger, tmp_path, lease)
        await asyncio.gather(*waiting)


async def test_the_last_viewer_that_gives_up_cancels_the_encode(redis_url: str, tmp_path: Path) -> None:
    async with open_ledger(redis_url) as ledger, engine_on(ledger, tmp_path) as one, engine_on(ledger, tmp_path) as two:
        waiting = [ask(one), ask(one), ask(two)]
        lease = await taken(ledger)
        for request in waiting[:2]:
            request.cancel()
        await asyncio.sleep(ledger.timing.file_poll_interval_s)
        assert await ledger.renew(lease, 0.5) == "running"
        waiting[2].cancel()

        async def is_cancelled() -> bool:
            return await ledger.renew(lease, 0.5) == "cancelled"

        await wait_until(is_cancelled)


async def test_a_viewer_that_comes_back_at_once_is_served(redis_url: str, tmp_path: Path) -> None:
    async with open_ledger(redis_url) as ledger, engine_on(ledger, tmp_path) as engine:
        for _ in range(5):
            hasty = ask(engine)
            await asyncio.sleep(0.01)
            hasty.cancel()
            waiting = ask(engine)
            await asyncio.sleep(0.05)
            assert not waiting.done()
            lease = await taken(ledger)
            assert await ledger.renew(lease, 0.1) == "running"
            waiting.cancel()
            await asyncio.gather(hasty, waiting, return_exceptions=True)

            async def is_cancelled(lease: Lease = lease) -> bool:
                return await ledger.renew(lease, 0.1) == "cancelled"

            await wait_until(is_cancelled)
            await ledger.release(lease)


async def test_excess_and_late_requests_are_told_to_retry(redis_url: str, tmp_path: Path) -> None:
    times = replace(FAST_TIMING, segment_wait_timeout_s=0.5)
    async with open_ledger(redis_url, times) as ledger, engine_on(ledger, tmp_path, max_waiters=2) as engine:
        waiting = [ask(engine, 1, "one"), ask(engine, 2, "two")]
        await wait_until(lambda: engine.waiters == 2)
        with pytest.raises(TooManyWaiters) as refused:
            await engine.request_segment(1, "480p", 3)
        assert refused.value.retry_after == 2
        for request in waiting:
            with pytest.raises(SegmentTimeout) as late:
                await request
            assert late.value.retry_after == 5
        with pytest.raises(SegmentTimeout):  # the places are free again: this one waits
            await asyncio.wait_for(engine.request_segment(1, "480p", 3), 3)


async def test_one_viewer_never_takes_the_places_of_others(redis_url: str, tmp_path: Path) -> None:
    async with open_ledger(redis_url) as ledger, engine_on(ledger, tmp_path, max_waiters=64) as engine:
        greedy = [ask(engine, number, f"greedy {number % 5}") for number in range(200)]
        await wait_until(lambda: sum(request.done() for request in greedy) + engine.waiters == 200)
        assert 25 <= engine.waiters <= 33  # whoever comes first gets more
        for request in greedy:
            if request.done():
                assert isinstance(request.exception(), TooManyWaiters)
        others = [ask(engine, 300 + number, f"viewer {number}") for number in range(24)]
        await wait_until(lambda: engine.waiters >= 49)
        assert not any(request.done() for request in others)
        for request in (*greedy, *others):
            request.cancel()
        await asyncio.gather(*greedy, *others, return_exceptions=True)
        assert engine.waiters == 0
        again = ask(engine, 1, "greedy 0")  # what is free is free again
        await wait_until(lambda: engine.waiters == 1)
        again.cancel()


async def test_a_failed_segment_is_reported_at_once_and_not_retried_soon(redis_url: str, tmp_path: Path) -> None:
    async with open_ledger(redis_url) as ledger, engine_on(ledger, tmp_path) as engine:
        waiting = ask(engine)
        await ledger.fail(await taken(ledger), "It is damaged.", permanent=True)
        with pytest.raises(SegmentFailed, match=r"It is damaged\."):
            await waiting
        with pytest.raises(SegmentFailed):
            await engine.request_segment(1, "480p", 3)
        await asyncio.sleep(ledger.timing.failed_segment_ttl_s)
        again = ask(engine)
        await publish(ledger, tmp_path, await taken(ledger))
        await again


async def test_a_lost_message_and_an_emptied_redis_cost_a_moment(redis_url: str, tmp_path: Path) -> None:
    async with (
        open_ledger(redis_url) as ledger,
        engine_on(ledger, tmp_path) as engine,
        Redis.from_url(redis_url) as redis,
    ):
        waiting = [ask(engine, 1), ask(engine, 2)]
        assert {(await taken(ledger)).index, (await taken(ledger)).index} == {1, 2}
        paths.segment_path(tmp_path, 1, "480p", 1).touch()  # nobody says so
        await waiting[0]
        await redis.flushdb()
        lease = await taken(ledger)  # asked for again
        assert lease.index == 2
        await publish(ledger, tmp_path, lease)
        await waiting[1]


async def test_a_video_that_is_ready_and_lost_a_segment_gets_it_again(redis_url: str, tmp_path: Path) -> None:
    TaskScript(tmp_path)
    repository = InMemoryRepository()
    async with (
        open_ledger(redis_url) as ledger,
        running_worker(ledger, repository, tmp_path),
        engine_on(ledger, tmp_path) as engine,
    ):
        repository.add(1, make_presentation(8))
        await ledger.start(1, [task_graph.probe_task()], task_graph.finalize_task())
        await wait_for_job(ledger, 1)
        file = paths.segment_path(tmp_path, 1, "480p", 1)
        file.unlink()
        await engine.request_segment(1, "480p", 1)
        assert file.exists()
        assert repository.status[1] == "ready"


async def test_a_start_and_a_cancel_that_redis_does_not_hear_are_no_errors(redis_url: str, tmp_path: Path) -> None:
    async with Redis.from_url("redis://127.0.0.1:1/0") as nowhere, engine_on(Ledger(nowhere), tmp_path) as engine:
        await engine.start(1)
        await engine.cancel(1)
        await engine.delete(1, "videos/1.mp4")
        assert not paths.video_dir(tmp_path, 1).exists()
