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
from redis.exceptions import RedisError

from transcode import ListenerTiming, RedisListener
from videoflix.background import run_in_background
from videoflix.models import Tombstone

_log = logging.getLogger(__name__)

_CHANNEL = "videoflix:sessions:ended"
_REVOKED_SESSIONS_KEY = "videoflix:sessions:ended:until"  # sorted set: session id by the time its last token expires

# Seconds.
_LISTENER_TIMING = ListenerTiming(
    ping_interval_s=0.3, max_unanswered_pings=3, min_reconnect_delay_s=0.5, max_reconnect_delay_s=0.5
)
_SYNC_TIMEOUT_S = 1.0  # who heard nothing for so long is not in step
_RECONCILE_INTERVAL_S = 1.0  # between two comparisons with the database, each with what ended since the last one
_RECONCILE_OVERLAP = timedelta(seconds=10)  # what ended so much earlier may have become visible later
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_PUBLISH_TIMEOUT_S = 1.0  # for Redis to take an announcement
_CLEANUP_INTERVAL_S = 60.0  # between two looks for sessions none of whose tokens lives any more

ListEndedSessions = Callable[[datetime], Awaitable[Sequence[Tombstone]]]


class Revocations:
    """`lifetime`: seconds that tokens of a session live, at most. `client` must not reconnect without a word.

    `ended` asks the database which sessions ended after some moment.
    """

    def __init__(self, client: Redis, list_ended: ListEndedSessions, lifetime_s: float) -> None:
        self._client = client
        self._list_ended = list_ended
        self.lifetime_s = lifetime_s
        self._expiry_by_session: dict[str, float] = {}
        self._unpublished: set[str] = set()  # not announced yet, because Redis was away
        self._last_ended_at = _EARLIEST  # when the last session ended that the database has told of
        self._reconcile_lock = asyncio.Lock()
        self._last_reconciled_at = self._last_advanced_at = self._last_cleanup_at = float("-inf")  # time.monotonic()
        self._listener = RedisListener(
            client, (_CHANNEL,), self._on_message, self._on_subscribed, timing=_LISTENER_TIMING
        )

    def is_revoked(self, session_id: str) -> bool:
        """A look into memory."""
        return session_id in self._expiry_by_session

    @property
    def is_in_sync(self) -> bool:
        """Whether this process hears of every session that another one ends."""
        return time.monotonic() - self._listener.last_alive_at < _SYNC_TIMEOUT_S

    async def ensure_current(self) -> None:
        """Return when everything that was revoked before this call is known. Raises what the database raises."""
        if not self.is_in_sync and self._listener.connected.is_set():  # perhaps it was this process that stood still
            await asyncio.sleep(_LISTENER_TIMING.ping_interval_s)
        if not self.is_in_sync:
            await self.reconcile()

    async def reconcile(self) -> None:
        """Learn from the database what ended; callers that wait together share one question."""
        asked = time.monotonic()
        async with self._reconcile_lock:
            if self._last_reconciled_at < asked:
                started = time.monotonic()
                self._apply_tombstones(await self._list_ended(self._reconcile_from(started)))
                self._last_reconciled_at = started

    def _reconcile_from(self, moment: float) -> datetime:
        return (
            self._last_ended_at - _RECONCILE_OVERLAP
            if moment - self._last_advanced_at < 2 * _RECONCILE_OVERLAP.total_seconds()
            else self._last_ended_at
        )

    def _apply_tombstones(self, tombstones: Sequence[Tombstone]) -> None:
        self._add({it.session_id: it.expires for it in tombstones})
        newest = max((it.ended_at for it in tombstones), default=self._last_ended_at)
        if newest > self._last_ended_at:
            self._last_ended_at, self._last_advanced_at = newest, time.monotonic()

    async def revoke(self, session_ids: Iterable[str]) -> None:
        """Shut these sessions out, here at once and elsewhere as soon as Redis tells. The database knows already."""
        ended = set(session_ids)
        self._add(dict.fromkeys(ended, time.time() + self.lifetime_s))
        self._unpublished |= ended
        await self._publish_pending()

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """In step with the other processes for as long as the block lasts. Raises what the database raises."""
        await self.reconcile()
        async with run_in_background(self._listener.run(), self._run_reconciliation()):
            yield

    async def _run_reconciliation(self) -> None:
        while True:
            await asyncio.sleep(_RECONCILE_INTERVAL_S)
            try:
                await self.reconcile()
            except Exception as error:  # whatever a database driver raises: the channel still tells
                _log.warning("revocations not compared error=%s", error)

    async def _on_message(self, _: str, data: str) -> None:
        self._add({str(session): float(until) for session, until in json.loads(data).items()})

    async def _on_subscribed(self) -> None:
        """From here on nothing is missed; what was missed is in both ledgers."""
        self._add(await self._load_published())
        await self.reconcile()
        await self._publish_pending()

    async def _load_published(self) -> dict[str, float]:
        found: Any = await self._client.zrangebyscore(_REVOKED_SESSIONS_KEY, time.time(), float("inf"), withscores=True)
        return {str(session, "utf-8"): float(until) for session, until in found}

    def _add(self, expiry_by_session: Mapping[str, float]) -> None:
        self._expiry_by_session.update(expiry_by_session)
        if time.monotonic() >= self._last_cleanup_at + _CLEANUP_INTERVAL_S:
            self._last_cleanup_at = time.monotonic()
            self._expiry_by_session = {
                session: until for session, until in self._expiry_by_session.items() if until > time.time()
            }

    async def _publish_pending(self) -> None:
        """Tell the others what they have not been told; what Redis does not take is told when it is back."""
        told = {
            session: self._expiry_by_session[session]
            for session in self._unpublished
            if session in self._expiry_by_session
        }
        if not told:
            self._unpublished.clear()
            return
        try:
            async with asyncio.timeout(_PUBLISH_TIMEOUT_S):
                await self._publish(told)
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("revocations not announced yet sessions=%d error=%s", len(told), error)
        else:
            self._unpublished -= told.keys()

    async def _publish(self, expiry_by_session: Mapping[str, float]) -> None:
        async with self._client.pipeline() as pipeline:
            pipeline.zadd(_REVOKED_SESSIONS_KEY, dict(expiry_by_session))
            pipeline.zremrangebyscore(_REVOKED_SESSIONS_KEY, "-inf", time.time())
            pipeline.expire(_REVOKED_SESSIONS_KEY, int(self.lifetime_s) + 1)
            pipeline.publish(_CHANNEL, json.dumps(expiry_by_session))
            await pipeline.execute()
