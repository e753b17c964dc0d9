"""Any moves in any order: after each of them the whole of Redis must make sense, and at the end all work can be done.

Time is moved by hand: a lease is made to expire, and a retry to be due, by its score.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from tests.support.fast_timing import FAST_TIMING
from transcode.ledger import LIVE, Lease, LeaseState, Ledger, NewTask, Queue, State

FILMS = (1, 11)
TASKS = [
    NewTask("probe", "probe", queue=Queue.PROBE, max_attempts=2, weight=0),
    NewTask("chunk:0", "chunk", 0, priority=30, max_attempts=2, weight=2.5),
    NewTask("extra", "extra", priority=40, max_attempts=2, weight=0.5, optional=True),
]
LATER = [NewTask(f"chunk:{index}", "chunk", index, priority=30 + index, max_attempts=2, weight=2.5) for index in (1, 2)]
FINISH = NewTask("finish", "finish", priority=20, max_attempts=2, weight=0)
SEGMENT = NewTask("segment:5", "segment", 5, "480p", queue=Queue.ON_DEMAND, max_attempts=2)
PROCESSES = ("web-a", "web-b")

# The moves, and how often each is made.
OFTEN = [
    *("start", "cancel", "forget", "be_due", "release", "reopen"),
    *2 * ("unwant", "raise_priority", "renew", "die"),
    *4 * ("want", "fail", "settle"),
    *9 * ("claim",),
]

# Everything that is in Redis below the prefix, at one moment.
PICTURE = """
local all = {}
for _, key in ipairs(redis.call('KEYS', 'videoflix:*')) do
  local kind, value = redis.call('TYPE', key).ok, nil
  if kind == 'hash' then value = redis.call('HGETALL', key)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  else value = {redis.call('GET', key)} end
  table.insert(all, {string.sub(key, 11), redis.call('PTTL', key), value})
end
return cjson.encode(all)
"""


@dataclass
class Picture:
    """What Redis holds, by key; keys that expire are in `passing`, too."""

    values: dict[str, list[str]]
    passing: set[str]

    @classmethod
    def of(cls, rows: list[tuple[str, int, Any]]) -> Picture:
        return cls({key: value or [] for key, _, value in rows}, {key for key, left, _ in rows if left >= 0})

    def named(self, prefix: str) -> Iterator[str]:
        """What stands behind the prefix in keys that begin with it."""
        return (key.removeprefix(prefix) for key in self.values if key.startswith(prefix))

    def fields(self, key: str) -> dict[str, str]:
        flat = self.values.get(key, [])
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def members(self, key: str) -> set[str]:
        return set(self.values.get(key, [])[::2])

    def tasks(self, job: str) -> dict[str, dict[str, str]]:
        return {task: self.fields(f"task:{job}:{task}") for task in self.values.get(f"tasks:{job}", [])}

    @property
    def waiting(self) -> list[str]:
        """Members of all queues and of the delayed."""
        keys = (*(f"queue:{lane}" for lane in self.named("queue:")), "delayed")
        return [member for key in keys for member in self.members(key)]


class Moves:
    """Web processes and workers, of which none can be trusted to hear an answer or to come in time.

    Every move gets a number, which chooses among what there is.
    """

    def __init__(self, client: Redis) -> None:
        self.client = client
        self.ledger = Ledger(client, timing=FAST_TIMING)
        self.leases: list[Lease] = []
        self.succeeded: set[tuple[str, str]] = set()

    async def picture(self) -> Picture:
        return Picture.of(json.loads(await self.client.eval(PICTURE, 0)))  # type: ignore[misc]

    async def make(self, move: str, number: int) -> None:
        await getattr(self, move)(number)
        self.look(await self.picture())

    # Moves --------------------------------------------------------------------------------------------------

    async def start(self, number: int) -> None:
        await self.ledger.start(FILMS[number % 2], TASKS, FINISH, total=8)

    async def claim(self, number: int) -> None:
        lease = await self.ledger.claim(tuple(Queue) if number else (Queue.BATCH,), "w")
        if isinstance(lease, Lease):
            assert 1 <= lease.attempt <= lease.max_attempts
            self.leases.insert(0, lease)

    async def settle(self, number: int) -> None:
        if lease := self.lease(number):
            mine = await self.holds(lease)
            follow_ups = LATER if lease.task_id == "probe" else ()
            answer = await self.ledger.complete(lease, {}, follow_ups, (8, 0) if follow_ups else None)
            assert (lease.job_id, lease.task_id) not in self.succeeded or not mine or lease.kind == "segment"
            if mine:
                assert answer is LeaseState.SUCCEEDED
                assert await self.ledger.complete(lease, {}) is LeaseState.SUCCEEDED  # the answer was lost
                self.succeeded.add((lease.job_id, lease.task_id))

    async def fail(self, number: int) -> None:
        if lease := self.lease(number):
            mine, hopeless = await self.holds(lease), number % 3 == 0
            answer = await self.ledger.fail(lease, "No.", permanent=hopeless, delay=60)
            if mine:
                dead = hopeless or lease.attempt >= lease.max_attempts
                assert answer is (LeaseState.DEAD if dead else LeaseState.RETRYING)

    async def release(self, number: int) -> None:
        if lease := self.lease(number):
            mine = await self.holds(lease)
            assert await self.ledger.release(lease) is LeaseState.QUEUED or not mine

    async def reopen(self, number: int) -> None:
        lease = self.lease(number)
        if lease and lease.kind != "segment":
            mine = await self.holds(lease)
            answer = await self.ledger.restart_job(lease, TASKS[0], "It is gone.")
            assert (answer in (LeaseState.QUEUED, LeaseState.DEAD)) or not mine
            if mine and answer is LeaseState.QUEUED:
                assert await self.ledger.restart_job(lease, TASKS[0], "It is gone.") is LeaseState.LOST
                self.succeeded = {done for done in self.succeeded if done[0] != lease.job_id}

    async def renew(self, number: int) -> None:
        if lease := self.lease(number):
            mine = await self.holds(lease)
            answer = await self.ledger.renew(lease, 0.5, 1, LATER[:1] if lease.task_id == "chunk:0" else ())
            assert (answer is LeaseState.RUNNING) is mine

    async def die(self, number: int) -> None:
        """A worker stops renewing."""
        if lease := self.lease(number):
            member = f"{lease.job_id}|{lease.task_id}|{lease.token}"
            await self.client.zadd("videoflix:leases", {member: 1}, xx=True)
            await self.reap()

    async def be_due(self, _: int = 0) -> None:
        """The pauses before retries are over."""
        for member in await self.client.zrange("videoflix:delayed", 0, -1):
            await self.client.zadd("videoflix:delayed", {member: 1})

    async def cancel(self, number: int) -> None:
        await self.ledger.cancel(FILMS[number % 2])

    async def forget(self, number: int) -> None:
        await self.ledger.forget(FILMS[number % 2])

    async def raise_priority(self, number: int) -> None:
        await self.ledger.promote(FILMS[number % 2], f"chunk:{number // 2 % 2}")

    async def want(self, number: int) -> None:
        await self.ledger.request_segment(FILMS[number % 2], SEGMENT, PROCESSES[number // 2 % 2])

    async def unwant(self, number: int) -> None:
        await self.ledger.withdraw_segment(FILMS[number % 2], SEGMENT, PROCESSES[number // 2 % 2])

    def lease(self, number: int) -> Lease | None:
        """One that was given out at some time, 0 being the latest."""
        return self.leases[number % len(self.leases)] if self.leases else None

    async def holds(self, lease: Lease) -> bool:
        found = await self.client.hmget(f"videoflix:task:{lease.job_id}:{lease.task_id}", "state", "token")  # type: ignore[misc]
        return found == ["running", lease.token]

    async def reap(self) -> None:
        """As a reaper that looks often."""
        await self.client.set("videoflix:reaper", "")
        await self.ledger.reap()

    # What is always so --------------------------------------------------------------------------------------

    def look(self, picture: Picture) -> None:
        jobs = set(picture.named("job:"))
        assert jobs == {picture.values[f"film:{film}"][0] for film in picture.named("film:")}
        assert {job.partition(".")[0] for job in jobs} == picture.members("films")
        assert picture.members("ended") == {job for job in jobs if not _is_live(picture.fields(f"job:{job}"))}
        for job in jobs:
            _check_job(picture, job)
        for film in ("1", "11"):
            assert all(_is_live(task) for task in picture.tasks(f"{film}.live").values())
        _check_places(picture)
        _check_keys(picture)

    async def all_work_can_be_done(self) -> None:
        """Whatever is left, an honest worker brings it to its end."""
        for member in await self.client.zrange("videoflix:leases", 0, -1):
            await self.client.zadd("videoflix:leases", {member: 1})
        await self.reap()
        for _ in range(40):
            await self.be_due()
            lease = await self.ledger.claim(tuple(Queue), "w")
            if not isinstance(lease, Lease):
                break
            assert await self.ledger.complete(lease, {}) is LeaseState.SUCCEEDED
        assert await self.ledger.views.list_active_ids() == set()
        picture = await self.picture()
        assert picture.waiting == []
        assert picture.members("leases") == set()


def _is_live(fields: dict[str, str]) -> bool:
    return State(fields["state"]) in LIVE


def _check_job(picture: Picture, job: str) -> None:
    """Its counters are those of its tasks, and there is something to do until its end."""
    fields, tasks = picture.fields(f"job:{job}"), picture.tasks(job)
    live = [task for task in tasks.values() if _is_live(task)]
    assert bool(live) is _is_live(fields)
    if live:
        assert int(fields["open"]) == len(live)
        closed = [task for task in tasks.values() if not _is_live(task)]
        assert all(task["state"] == "succeeded" or task["optional"] == "1" for task in closed)
        assert float(fields["done"]) == sum(float(task["weight"]) for task in closed)


def _check_places(picture: Picture) -> None:
    """What waits is in one place, what runs has one lease, what is over is nowhere."""
    waiting, leases = picture.waiting, picture.members("leases")
    for key in picture.named("task:"):
        job, _, task = key.partition(":")
        fields = picture.fields(f"task:{key}")
        member, state = f"{job}|{task}", fields["state"]
        assert waiting.count(member) == (1 if state in ("queued", "retrying") else 0)
        if state == "running":
            assert f"{member}|{fields['token']}" in leases
    assert all(f"task:{member.replace('|', ':')}" in picture.values for member in waiting)


def _check_keys(picture: Picture) -> None:
    """Nothing stays for ever that belongs to nothing."""
    listed = {f"task:{job}:{task}" for job in picture.named("tasks:") for task in picture.values[f"tasks:{job}"]}
    for key in picture.values.keys() - picture.passing:
        kind = key.partition(":")[0]
        assert kind != "want"
        assert kind != "task" or key in listed


@pytest.fixture
def client(redis_url: str) -> Iterator[tuple[asyncio.AbstractEventLoop, Redis]]:
    loop = asyncio.new_event_loop()
    client = Redis.from_url(redis_url, decode_responses=True)
    yield loop, client
    loop.run_until_complete(client.aclose())
    loop.close()


@settings(
    max_examples=25, deadline=None, derandomize=True, database=None, phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(moves=st.lists(st.tuples(st.sampled_from(OFTEN), st.integers(0, 7)), min_size=50, max_size=70))
def test_any_moves_in_any_order_leave_a_ledger_that_makes_sense(
    client: tuple[asyncio.AbstractEventLoop, Redis], moves: list[tuple[str, int]]
) -> None:
    loop, redis = client

    async def play() -> None:
        await redis.flushdb()
        game = Moves(redis)
        await game.start(0)
        for move, number in moves:
            await game.make(move, number)
        await game.all_work_can_be_done()

    loop.run_until_complete(play())
