"""The progress reports of the last minute, in Redis, so that all web processes see them at once.

A viewer whose requests are handled by several processes resumes a video at the right position, even if the process
that received the last report has not written it to the database yet. Nothing depends on this cache: without Redis,
other processes see a report once it is written.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from videoflix.batching import Batcher
from videoflix.models import WatchProgress, now
from videoflix.redis.breaker import CircuitBreaker

_KEY_TEMPLATE = "videoflix:progress:{}"  # by user id: a hash of JSON by video id
_TTL_S = 60  # far longer than a report takes to reach the database
_REDIS_TIMEOUT_S = 0.5

_ProgressWrite = tuple[int, int, str]  # user id, video id, JSON


@dataclass(frozen=True, slots=True)
class RecentEntry:
    """The latest event for a user and a video: a report, or None if the progress was reset."""

    recorded_at: datetime
    report: WatchProgress | None


class RecentProgressCache:
    """Recent reports of all web processes. Errors of Redis are logged, not raised.

    The client should not retry, because requests wait for it.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._breaker = CircuitBreaker("recent_progress", _REDIS_TIMEOUT_S)
        self._batched_write: Batcher[_ProgressWrite, None] = Batcher(self._write_batch)

    async def put(self, report: WatchProgress) -> None:
        """Add a report."""
        fields = {"position": report.position, "duration": report.duration, "finished": report.finished}
        await self._write(*report.key, {**fields, "at": report.updated_at.timestamp()})

    async def forget(self, user_id: int, video_id: int) -> None:
        """Record that earlier reports of this user on this video no longer count."""
        await self._write(user_id, video_id, {"at": now().timestamp()})

    async def forget_user(self, user_id: int) -> None:
        """Remove all reports of a user."""
        await self._call_redis(self._client.delete(_KEY_TEMPLATE.format(user_id)))

    async def get_for_user(self, user_id: int) -> Mapping[int, RecentEntry]:
        """Return the entries of a user by video id."""
        texts = await self._call_redis(self._client.hgetall(_KEY_TEMPLATE.format(user_id))) or {}
        return {int(video_id): _parse_entry(user_id, int(video_id), text) for video_id, text in texts.items()}

    async def get_many(self, keys: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], RecentEntry]:
        """Return the entries of these pairs of user id and video id."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for user_id, video_id in keys:
                pipeline.hget(_KEY_TEMPLATE.format(user_id), str(video_id))
            texts = await self._call_redis(pipeline.execute()) or []
        return {key: _parse_entry(*key, text) for key, text in zip(keys, texts, strict=False) if text is not None}

    async def _write(self, user_id: int, video_id: int, fields: Mapping[str, object]) -> None:
        await self._call_redis(self._batched_write((user_id, video_id, json.dumps(fields))))

    async def _write_batch(self, writes: Sequence[_ProgressWrite]) -> Sequence[None]:
        """Write simultaneous reports in one round trip, which costs more than everything else about a report."""
        async with asyncio.timeout(_REDIS_TIMEOUT_S), self._client.pipeline(transaction=False) as pipeline:
            for user_id, video_id, text in writes:
                pipeline.hset(_KEY_TEMPLATE.format(user_id), str(video_id), text)
                pipeline.expire(_KEY_TEMPLATE.format(user_id), _TTL_S)
            await pipeline.execute()
        return [None] * len(writes)

    async def _call_redis(self, awaitable: Awaitable[Any]) -> Any:
        """Return the result, or None if Redis does not answer."""
        return await self._breaker.call(awaitable, None)


def _parse_entry(user_id: int, video_id: int, text: bytes) -> RecentEntry:
    fields = json.loads(text)
    at = datetime.fromtimestamp(fields.pop("at"), UTC)
    if not fields:
        return RecentEntry(at, None)
    return RecentEntry(at, WatchProgress(user_id=user_id, video_id=video_id, updated_at=at, **fields))
