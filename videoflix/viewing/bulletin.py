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

from videoflix.gathering import Gathering
from videoflix.models import Progress, now

_log = logging.getLogger(__name__)

_KEY = "videoflix:progress:{}"  # by user: hash of JSON by the id of the film
_KEPT = 60  # seconds; long after the database has it
_PATIENCE = 0.5  # seconds for Redis to answer
_TRUCE = 5.0  # seconds that it is not asked after it did not

_Told = tuple[int, int, str]  # user, film, what is said


@dataclass(frozen=True, slots=True)
class Entry:
    """The last thing that was said of a user and a film; no report: that the film counts as not begun."""

    at: datetime
    report: Progress | None


class Bulletin:
    """`client` should not retry: nobody waits long for it. Raises nothing that Redis raises."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._truce_until = 0.0
        self._telling: Gathering[_Told, None] = Gathering(self._tell)

    async def put(self, report: Progress) -> None:
        """For everybody to see."""
        said = {"position": report.position, "duration": report.duration, "finished": report.finished}
        await self._say(*report.key, {**said, "at": report.updated_at.timestamp()})

    async def forget(self, user_id: int, video_id: int) -> None:
        """What was reported until now does not count."""
        await self._say(user_id, video_id, {"at": now().timestamp()})

    async def forget_user(self, user_id: int) -> None:
        """Nothing is left."""
        await self._asked(self._client.delete(_KEY.format(user_id)))

    async def of_user(self, user_id: int) -> Mapping[int, Entry]:
        """By the id of the film."""
        found = await self._asked(self._client.hgetall(_KEY.format(user_id))) or {}
        return {int(video): _entry(user_id, int(video), said) for video, said in found.items()}

    async def of(self, keys: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], Entry]:
        """Of these users and films."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for user_id, video_id in keys:
                pipeline.hget(_KEY.format(user_id), str(video_id))
            found = await self._asked(pipeline.execute()) or []
        return {key: _entry(*key, said) for key, said in zip(keys, found, strict=False) if said is not None}

    async def _say(self, user_id: int, video_id: int, said: Mapping[str, object]) -> None:
        await self._asked(self._telling((user_id, video_id, json.dumps(said))))

    async def _tell(self, all_told: Sequence[_Told]) -> Sequence[None]:
        """What players report at the same time shares a round trip, which costs more than all the rest of a report."""
        async with asyncio.timeout(_PATIENCE), self._client.pipeline(transaction=False) as pipeline:
            for user_id, video_id, said in all_told:
                pipeline.hset(_KEY.format(user_id), str(video_id), said)
                pipeline.expire(_KEY.format(user_id), _KEPT)
            await pipeline.execute()
        return [None] * len(all_told)

    async def _asked(self, question: Awaitable[Any]) -> Any:
        """None when Redis does not answer."""
        if time.monotonic() < self._truce_until:
            if asyncio.iscoroutine(question):
                question.close()
            return None
        try:
            async with asyncio.timeout(_PATIENCE):
                return await question
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("progress not shared error=%s", error)
            self._truce_until = time.monotonic() + _TRUCE
            return None


def _entry(user_id: int, video_id: int, text: bytes) -> Entry:
    said = json.loads(text)
    at = datetime.fromtimestamp(said.pop("at"), UTC)
    return Entry(at, Progress(user_id=user_id, video_id=video_id, updated_at=at, **said) if said else None)
