"""Sessions that ended while tokens of theirs still live, known to every web process.

Whether a session is revoked is a look into memory. That memory follows a Redis channel; MongoDB, where a session ends
before anything is announced, is the truth that it is compared with: at the start, after every gap in the channel, and
once a second, because who ended a session may have lost Redis alone. While the channel is away (`in_step` is False)
each request waits for that comparison, so that what another process revoked meanwhile gets in nowhere. So whatever
one server does, nobody gets in for more than about a second.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from videoflix.background import running
from videoflix.models import Tombstone

_log = logging.getLogger(__name__)

_CHANNEL = "videoflix:sessions:ended"
_KEY = "videoflix:sessions:ended:until"  # sorted set: session id by the time its last token expires

# Seconds.
_BEAT = 0.3  # a channel that is silent for so long is asked whether it lives
_UNANSWERED = 3  # one that was asked so often and did not answer is given up
_SILENCE = 1.0  # who heard nothing for so long is not in step
_COMPARE = 1.0  # between two comparisons with the database, each with what ended since the last one
_OVERLAP = timedelta(seconds=10)  # what ended so much earlier may have become visible later
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_ANNOUNCE = 1.0  # for Redis to take an announcement
_TIDY = 60.0  # between two looks for sessions none of whose tokens lives any more
_PAUSE = 0.5  # before a lost channel is sought again

Ended = Callable[[datetime], Awaitable[Sequence[Tombstone]]]


class Revocations:
    """`lifetime`: seconds that tokens of a session live, at most. `client` must not reconnect without a word.

    `ended` asks the database which sessions ended after some moment.
    """

    def __init__(self, client: Redis, ended: Ended, lifetime: float) -> None:
        self._client = client
        self._ended = ended
        self.lifetime = lifetime
        self._until: dict[str, float] = {}
        self._owed: set[str] = set()  # not announced yet, because Redis was away
        self._newest = _BEGINNING  # when the last session ended that the database has told of
        self._lock = asyncio.Lock()
        self._heard = self._compared = self._newer = self._tidied = float("-inf")  # time.monotonic()

    def is_revoked(self, session_id: str) -> bool:
        """A look into memory."""
        return session_id in self._until

    @property
    def in_step(self) -> bool:
        """Whether this process hears of every session that another one ends."""
        return time.monotonic() - self._heard < _SILENCE

    async def ensure_current(self) -> None:
        """Return when everything that was revoked before this call is known. Raises what the database raises."""
        if not self.in_step and self._heard > float("-inf"):  # perhaps it was this process that stood still
            await asyncio.sleep(_BEAT)
        if not self.in_step:
            await self.compare()

    async def compare(self) -> None:
        """Learn from the database what ended; callers that wait together share one question."""
        asked = time.monotonic()
        async with self._lock:
            if self._compared < asked:
                started = time.monotonic()
                self._take_in(await self._ended(self._since(started)))
                self._compared = started

    def _since(self, moment: float) -> datetime:
        return self._newest - _OVERLAP if moment - self._newer < 2 * _OVERLAP.total_seconds() else self._newest

    def _take_in(self, found: Sequence[Tombstone]) -> None:
        self._learn({it.session_id: it.until for it in found})
        newest = max((it.ended_at for it in found), default=self._newest)
        if newest > self._newest:
            self._newest, self._newer = newest, time.monotonic()

    async def revoke(self, session_ids: Iterable[str]) -> None:
        """Shut these sessions out, here at once and elsewhere as soon as Redis tells. The database knows already."""
        ended = set(session_ids)
        self._learn(dict.fromkeys(ended, time.time() + self.lifetime))
        self._owed |= ended
        await self._announce()

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """In step with the other processes for as long as the block lasts. Raises what the database raises."""
        await self.compare()
        async with running(self._follow(), self._compare_now_and_then()):
            yield

    async def _follow(self) -> None:
        while True:
            try:
                async with self._client.pubsub() as channel:
                    await channel.subscribe(_CHANNEL)
                    await self._listen(channel)
            except (RedisError, OSError, TimeoutError) as error:
                _log.warning("revocations channel lost error=%s", error)
            except Exception:  # the database, whose errors only its store knows: without it nobody is in step
                _log.exception("revocations not compared")
            self._heard = float("-inf")
            await asyncio.sleep(_PAUSE)

    async def _compare_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_COMPARE)
            try:
                await self.compare()
            except Exception as error:  # whatever a database driver raises: the channel still tells
                _log.warning("revocations not compared error=%s", error)

    async def _listen(self, channel: PubSub) -> None:
        unanswered = 0  # counted, for time also passes while this process stands still and an answer lies there
        while True:
            message = await channel.get_message(timeout=_BEAT)
            if message is None:
                if unanswered == _UNANSWERED:
                    raise TimeoutError("no answer")
                unanswered += 1
                async with asyncio.timeout(_BEAT):
                    await channel.ping()
            else:
                unanswered = 0
                heard = time.monotonic()
                await self._take(message)
                self._heard = heard

    async def _take(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "message":
            told = json.loads(message["data"])
            self._learn({str(session): float(until) for session, until in told.items()})
        elif message["type"] == "subscribe":  # from here on nothing is missed; what was missed is in both ledgers
            self._learn(await self._kept())
            await self.compare()
            await self._announce()

    async def _kept(self) -> dict[str, float]:
        found: Any = await self._client.zrangebyscore(_KEY, time.time(), float("inf"), withscores=True)
        return {str(session, "utf-8"): float(until) for session, until in found}

    def _learn(self, ended: Mapping[str, float]) -> None:
        self._until.update(ended)
        if time.monotonic() >= self._tidied + _TIDY:
            self._tidied = time.monotonic()
            self._until = {session: until for session, until in self._until.items() if until > time.time()}

    async def _announce(self) -> None:
        """Tell the others what they have not been told; what Redis does not take is told when it is back."""
        told = {session: self._until[session] for session in self._owed if session in self._until}
        if not told:
            self._owed.clear()
            return
        try:
            async with asyncio.timeout(_ANNOUNCE):
                await self._publish(told)
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("revocations not announced yet sessions=%d error=%s", len(told), error)
        else:
            self._owed -= told.keys()

    async def _publish(self, told: Mapping[str, float]) -> None:
        async with self._client.pipeline() as pipeline:
            pipeline.zadd(_KEY, dict(told))
            pipeline.zremrangebyscore(_KEY, "-inf", time.time())
            pipeline.expire(_KEY, int(self.lifetime) + 1)
            pipeline.publish(_CHANNEL, json.dumps(told))
            await pipeline.execute()
