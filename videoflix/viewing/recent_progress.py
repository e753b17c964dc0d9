"""What was reported in the last minute, where every web process sees it at once: in Redis.

A viewer whose requests go to several processes finds the film where it was left, also when the one that took the last
report has not written it yet. Nothing depends on it: without Redis other processes see a report when it is written.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from videoflix.batching import Batcher
from videoflix.models import WatchProgress, now

_log = logging.getLogger(__name__)

_KEY_TEMPLATE = "videoflix:progress:{}"  # by user: hash of JSON by the id of the film
_TTL_S = 60  # seconds; long after the database has it
_REDIS_TIMEOUT_S = 0.5  # seconds for Redis to answer
_BREAKER_OPEN_S = 5.0  # seconds that it is not asked after it did not

_ProgressWrite = tuple[int, int, str]  # user, film, what is said


@dataclass(frozen=True, slots=True)
class RecentEntry:
    """The last thing that was said of a user and a film; no report: that the film counts as not begun."""

    recorded_at: datetime
    report: WatchProgress | None


class RecentProgressCache:
    """`client` should not retry: nobody waits long for it. Raises nothing that Redis raises."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._breaker_open_until = 0.0
        self._batched_write: Batcher[_ProgressWrite, None] = Batcher(self._write_batch)

    async def put(self, report: WatchProgress) -> None:
        """For everybody to see."""
        said = {"position": report.position, "duration": report.duration, "finished": report.finished}
        await self._write(*report.key, {**said, "at": report.updated_at.timestamp()})

    async def forget(self, user_id: int, video_id: int) -> None:
        """What was reported until now does not count."""
        await self._write(user_id, video_id, {"at": now().timestamp()})

    async def forget_user(self, user_id: int) -> None:
        """Nothing is left."""
        await self._call_redis(self._client.delete(_KEY_TEMPLATE.format(user_id)))

    async def get_for_user(self, user_id: int) -> Mapping[int, RecentEntry]:
        """By the id of the film."""
        found = await self._call_redis(self._client.hgetall(_KEY_TEMPLATE.format(user_id))) or {}
        return {int(video): _parse_entry(user_id, int(video), said) for video, said in found.items()}

    async def get_many(self, keys: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], RecentEntry]:
        """Of these users and films."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for user_id, video_id in keys:
                pipeline.hget(_KEY_TEMPLATE.format(user_id), str(video_id))
            found = await self._call_redis(pipeline.execute()) or []
        return {key: _parse_entry(*key, said) for key, said in zip(keys, found, strict=False) if said is not None}

    async def _write(self, user_id: int, video_id: int, fields: Mapping[str, object]) -> None:
        await self._call_redis(self._batched_write((user_id, video_id, json.dumps(fields))))

    async def _write_batch(self, writes: Sequence[_ProgressWrite]) -> Sequence[None]:
        """What players report at the same time shares a round trip, which costs more than all the rest of a report."""
        async with asyncio.timeout(_REDIS_TIMEOUT_S), self._client.pipeline(transaction=False) as pipeline:
            for user_id, video_id, said in writes:
                pipeline.hset(_KEY_TEMPLATE.format(user_id), str(video_id), said)
                pipeline.expire(_KEY_TEMPLATE.format(user_id), _TTL_S)
            await pipeline.execute()
        return [None] * len(writes)

    async def _call_redis(self, awaitable: Awaitable[Any]) -> Any:
        """None when Redis does not answer."""
        if time.monotonic() < self._breaker_open_until:
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            return None
        try:
            async with asyncio.timeout(_REDIS_TIMEOUT_S):
                return await awaitable
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("progress not shared error=%s", error)
            self._breaker_open_until = time.monotonic() + _BREAKER_OPEN_S
            return None


def _parse_entry(user_id: int, video_id: int, text: bytes) -> RecentEntry:
    said = json.loads(text)
    at = datetime.fromtimestamp(said.pop("at"), UTC)
    return RecentEntry(at, WatchProgress(user_id=user_id, video_id=video_id, updated_at=at, **said) if said else None)
