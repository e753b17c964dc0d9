"""A ledger that was written by an earlier version is read, claimed and completed by the present one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from redis.asyncio import Redis

from tests.support.workers import get_job, open_ledger
from transcode import task_graph
from transcode.ledger import Lease, LeaseState, Ledger, NewTask, Queue, State

CREATED_MS = 1795829599049  # a time in milliseconds

# Names and values are those that the scripts of the earlier version wrote.
HASHES: Mapping[str, Mapping[str, str]] = {
    "job:7.1": {
        "done": "0", "started": "1795829599049", "total": "20.899999999999999", "created": "1795829599049", "base": "0",
        "state": "running", "rank:chunk:0001": "-1000000000005", "open": "3", "film": "7", "id": "7.1",
        "last": '[{"optional":true,"index":0,"lane":"bulk","id":"iframes","rendition":"","weight":0,"priority":22,'
                '"limit":4,"kind":"iframes"},{"optional":true,"index":0,"lane":"bulk","id":"storyboard","rendition":"",'
                '"weight":0,"priority":22,"limit":4,"kind":"storyboard"},{"optional":false,"index":0,"lane":"bulk",'
                '"id":"finish","rendition":"","weight":0,"priority":22,"limit":4,"kind":"finish"}]',
    },
    "task:7.1:probe": {
        "job": "7.1", "film": "7", "id": "probe", "kind": "probe", "index": "0", "rendition": "", "lane": "opening",
        "rank": "10000000000001", "weight": "0", "limit": "4", "optional": "0", "state": "succeeded", "attempts": "1",
        "progress": "1", "parts": "0", "token": "aaaa", "created": "1795829599049", "worker": "old-host:1",
        "claimed": "1795829599049", "result": '{"version": 1}', "ended": "1795829599053",
    },
    "task:7.1:audio": {
        "job": "7.1", "film": "7", "id": "audio", "kind": "audio", "index": "0", "rendition": "", "lane": "sound",
        "rank": "20000000000003", "weight": "0.40000000000000002", "limit": "4", "optional": "0", "state": "running",
        "attempts": "1", "progress": "0.5", "parts": "1", "token": "bbbb", "created": "1795829599053",
        "worker": "old-host:1", "claimed": "1795829599068",
    },
    "task:7.1:chunk:0000": {
        "job": "7.1", "film": "7", "id": "chunk:0000", "kind": "chunk", "index": "0", "rendition": "", "lane": "bulk",
        "rank": "30000000000004", "weight": "4", "limit": "4", "optional": "0", "state": "queued", "attempts": "0",
        "progress": "0", "parts": "0", "token": "", "created": "1795829599071",
    },
    "task:7.1:thumbnail": {
        "job": "7.1", "film": "7", "id": "thumbnail", "kind": "thumbnail", "index": "0", "rendition": "",
        "lane": "bulk", "rank": "25000000000002", "weight": "0.5", "limit": "4", "optional": "1", "state": "retrying",
        "attempts": "1", "progress": "0", "parts": "0", "token": "dddd", "created": "1795829599053",
        "worker": "old-host:1", "claimed": "1795829599124", "error": "It broke.", "last_words": "ffmpeg: no",
        "due": "1795829599136",
    },
    "task:7.live:segment:480p:0004": {
        "job": "7.live", "film": "7", "id": "segment:480p:0004", "kind": "segment", "index": "4", "rendition": "480p",
        "lane": "segment", "rank": "6", "weight": "0", "limit": "2", "optional": "0", "state": "queued",
        "attempts": "0", "progress": "0", "parts": "0", "token": "", "created": "1795829599116",
    },
}  # fmt: skip
SETS: Mapping[str, Sequence[str]] = {
    "tasks:7.1": ("audio", "chunk:0000", "probe", "thumbnail"),
    "tasks:7.live": ("segment:480p:0004",),
}
STRINGS = {"film:7": "7.1", "serial": "1", "order": "6", "hold": "free disk space", "reaper": ""}
AUDIO_LEASE = Lease("7.1", "audio", "bbbb", 7, "audio", 0, "", 1, 4)


async def write_old_ledger(redis: Redis) -> None:
    """Write the ledger of a video whose audio is running, with a retry due and a viewer waiting for a segment."""
    soon_ms = 1000 * time.time() + 60_000
    sorted_sets: dict[str, dict[str, float]] = {
        "films": {"7": CREATED_MS},
        "delayed": {"7.1|thumbnail": 1.0},
        "leases": {"7.1|audio|bbbb": soon_ms},
        "queue:bulk": {"7.1|chunk:0000": 30000000000004.0},
        "queue:segment": {"7.live|segment:480p:0004": 6.0},
        "want:7:480p:4": {"cccc": soon_ms},
    }
    for key, fields in HASHES.items():
        await redis.hset(f"videoflix:{key}", mapping=dict(fields))  # type: ignore[misc]
    for key, members in SETS.items():
        await redis.sadd(f"videoflix:{key}", *members)  # type: ignore[misc]
    for key, scores in sorted_sets.items():
        await redis.zadd(f"videoflix:{key}", dict(scores))
    for key, value in STRINGS.items():
        await redis.set(f"videoflix:{key}", value)


async def claim(ledger: Ledger, queue: Queue) -> Lease:
    lease = await ledger.claim([queue], "w")
    assert isinstance(lease, Lease)
    return lease


async def test_a_job_of_an_earlier_version_is_shown(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger, Redis.from_url(redis_url) as redis:
        await write_old_ledger(redis)
        job = await get_job(ledger, 7)
        assert (job.id, job.state, job.created_at, job.waits_for) == (
            "7.1", State.RUNNING, CREATED_MS / 1000, "free disk space",
        )  # fmt: skip
        tasks = {task.id: (task.state, task.attempts, task.max_attempts) for task in job.tasks}
        assert tasks == {
            "probe": (State.SUCCEEDED, 1, 4),
            "audio": (State.RUNNING, 1, 4),
            "thumbnail": (State.RETRYING, 1, 4),
            "chunk:0000": (State.QUEUED, 0, 4),
            "segment:480p:0004": (State.QUEUED, 0, 2),
        }
        assert next(task.last_words for task in job.tasks if task.id == "thumbnail") == "ffmpeg: no"
        assert (await ledger.views.progress([7]))[7].percent == 1.0
        assert await ledger.leased_tokens() == {"bbbb"}


async def test_a_job_of_an_earlier_version_comes_to_its_end(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger, Redis.from_url(redis_url) as redis:
        await write_old_ledger(redis)
        await redis.zadd("videoflix:leases", {"7.1|audio|bbbb": 1})  # the worker was stopped for the update
        assert [reaped.task_id for reaped in await ledger.reap()] == ["audio"]
        assert await ledger.renew(AUDIO_LEASE, 0.9) is LeaseState.LOST
        await redis.zadd("videoflix:delayed", {"7.1|audio": 1})
        audio = await claim(ledger, Queue.AUDIO)
        assert (audio.task_id, audio.attempt) == ("audio", 2)
        await ledger.complete(audio, {})
        order = []
        for _ in range(5):
            lease = await claim(ledger, Queue.BATCH)
            order.append(lease.task_id)
            assert await ledger.complete(lease, {}) is LeaseState.SUCCEEDED
        assert order == ["thumbnail", "chunk:0000", "iframes", "storyboard", "finish"]
        assert await ledger.views.job_states([7]) == {7: State.SUCCEEDED}
        assert (await ledger.start(7, [task_graph.probe_task()], task_graph.closing())).job_id == "7.2"


async def test_a_lease_of_an_earlier_version_stays_in_force(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger, Redis.from_url(redis_url) as redis:
        await write_old_ledger(redis)
        assert await ledger.renew(AUDIO_LEASE, 0.9, 2) is LeaseState.RUNNING
        assert await ledger.cancel(7) == 1
        assert await ledger.renew(AUDIO_LEASE, 0.9, 2) is LeaseState.CANCELLED
        assert await ledger.release(AUDIO_LEASE) is LeaseState.CANCELLED
        assert await ledger.count_active_leases(7) == 0


async def test_a_segment_request_of_an_earlier_version_is_served(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger, Redis.from_url(redis_url) as redis:
        await write_old_ledger(redis)
        task = task_graph.segment_task("480p", 4)
        assert (await ledger.request_segment(7, task, "a new process")).state is LeaseState.QUEUED
        assert not await ledger.withdraw_segment(7, task, "cccc")  # the new process still waits
        lease = await claim(ledger, Queue.ON_DEMAND)
        assert (lease.task_id, lease.rendition, lease.index, lease.max_attempts) == (task.id, "480p", 4, 2)
        assert await ledger.complete(lease, {}) is LeaseState.SUCCEEDED
        assert not await redis.exists("videoflix:want:7:480p:4")


async def test_a_promotion_by_an_earlier_version_still_counts(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger, Redis.from_url(redis_url) as redis:
        await write_old_ledger(redis)
        promoted = NewTask("chunk:0001", "chunk", 1, priority=31)
        assert await ledger.renew(AUDIO_LEASE, 0.9, 2, [promoted]) is LeaseState.RUNNING
        assert (await claim(ledger, Queue.BATCH)).task_id == "chunk:0001"
