"""Sessions that have ended while tokens of them may still be unexpired, known to every web process.

Whether a session is revoked is a lookup in memory. A Redis channel keeps that memory up to date. MongoDB is the source
of truth: a session ends there before that is published. The memory is reconciled with it at the start, after every gap
in the channel, and once a second, because the process that ended a session may be the only one that has lost Redis.
While the channel is down (`is_in_sync` is False), every request waits for such a reconciliation. So whichever server
fails, a revoked session is accepted for no longer than about a second.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from transcode import ListenerTiming, RedisListener
from videoflix.background import run_in_background
from videoflix.models import Tombstone

_log = structlog.get_logger(__name__)

_CHANNEL = "videoflix:sessions:ended"
_REVOKED_SESSIONS_KEY = "videoflix:sessions:ended:until"  # sorted set of session ids by expiry of their last token

_LISTENER_TIMING = ListenerTiming(
    ping_interval_s=0.3, max_unanswered_pings=3, min_reconnect_delay_s=0.5, max_reconnect_delay_s=0.5
)
_SYNC_TIMEOUT_S = 1.0  # a process that receives nothing for this long is not in sync
_RECONCILE_INTERVAL_S = 1.0
_RECONCILE_OVERLAP = timedelta(seconds=10)  # a session may become visible this much later than it ended
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_PUBLISH_TIMEOUT_S = 1.0
_CLEANUP_INTERVAL_S = 60.0  # between two removals of sessions whose last token has expired

ListEndedSessions = Callable[[datetime], Awaitable[Sequence[Tombstone]]]


class Revocations:
    """The revoked sessions, shared by all web processes.

    `client` must not reconnect silently. `list_ended` queries the database for sessions that ended after a given time.
    `lifetime_s` is the longest lifetime of a session's access and playback tokens.
    """

    def __init__(self, client: Redis, list_ended: ListEndedSessions, lifetime_s: float) -> None:
        self._client = client
        self._list_ended = list_ended
        self.lifetime_s = lifetime_s
        self._expiry_by_session: dict[str, float] = {}
        self._unpublished: set[str] = set()  # because Redis was unavailable
        self._last_ended_at = _EARLIEST  # when the last session ended that is known here
        self._reconcile_lock = asyncio.Lock()
        self._last_reconciled_at = self._last_advanced_at = self._last_cleanup_at = float("-inf")  # time.monotonic()
        self._listener = RedisListener(
            client, (_CHANNEL,), self._on_message, self._on_subscribed, timing=_LISTENER_TIMING
        )

    def is_revoked(self, session_id: str) -> bool:
        """Return whether a session has ended, as far as this process knows."""
        return session_id in self._expiry_by_session

    @property
    def is_in_sync(self) -> bool:
        """Whether this process learns at once of every session that another process ends."""
        return time.monotonic() - self._listener.last_alive_at < _SYNC_TIMEOUT_S

    async def ensure_current(self) -> None:
        """Return when every revocation made before this call is known. Raises the database driver's errors."""
        if not self.is_in_sync and self._listener.connected.is_set():  # perhaps this process was merely suspended
            await asyncio.sleep(_LISTENER_TIMING.ping_interval_s)
        if not self.is_in_sync:
            await self.reconcile()

    async def reconcile(self) -> None:
        """Load from the database which sessions have ended. Concurrent callers share one query."""
        called_at = time.monotonic()
        async with self._reconcile_lock:
            if self._last_reconciled_at < called_at:
                started = time.monotonic()
                self._apply_tombstones(await self._list_ended(self._reconcile_from(started)))
                self._last_reconciled_at = started

    def _reconcile_from(self, moment: float) -> datetime:
        """Return the time after which ended sessions are queried, without the overlap if none has ended lately."""
        return (
            self._last_ended_at - _RECONCILE_OVERLAP
            if moment - self._last_advanced_at < 2 * _RECONCILE_OVERLAP.total_seconds()
            else self._last_ended_at
        )

    def _apply_tombstones(self, tombstones: Sequence[Tombstone]) -> None:
        self._add({tombstone.session_id: tombstone.expires for tombstone in tombstones})
        newest = max((tombstone.ended_at for tombstone in tombstones), default=self._last_ended_at)
        if newest > self._last_ended_at:
            self._last_ended_at, self._last_advanced_at = newest, time.monotonic()

    async def revoke(self, session_ids: Iterable[str]) -> None:
        """Revoke sessions that have ended in the database, here at once and elsewhere as soon as Redis delivers it."""
        new_ids = set(session_ids)
        self._add(dict.fromkeys(new_ids, time.time() + self.lifetime_s))
        self._unpublished |= new_ids
        await self._publish_pending()

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Stay in sync with the other processes until the block is left. Raises the database driver's errors."""
        await self.reconcile()
        async with run_in_background(self._listener.run(), self._run_reconciliation()):
            yield

    async def _run_reconciliation(self) -> None:
        while True:
            await asyncio.sleep(_RECONCILE_INTERVAL_S)
            await self._try_to_reconcile()

    async def _try_to_reconcile(self) -> None:
        try:
            await self.reconcile()
        except Exception as error:  # of the database driver; the channel still delivers, and the next round catches up
            _log.warning("reconciliation_failed", error=str(error))

    async def _on_message(self, _: str, data: str) -> None:
        self._add({str(session_id): float(until) for session_id, until in json.loads(data).items()})

    async def _on_subscribed(self) -> None:
        """Load what was published before: nothing is missed from now on; Redis and the database know the rest."""
        self._add(await self._load_published())
        await self._try_to_reconcile()
        await self._publish_pending()

    async def _load_published(self) -> dict[str, float]:
        members: Any = await self._client.zrangebyscore(
            _REVOKED_SESSIONS_KEY, time.time(), float("inf"), withscores=True
        )
        return {str(session_id, "utf-8"): float(until) for session_id, until in members}

    def _add(self, expiry_by_session: Mapping[str, float]) -> None:
        self._expiry_by_session.update(expiry_by_session)
        if time.monotonic() >= self._last_cleanup_at + _CLEANUP_INTERVAL_S:
            self._last_cleanup_at = time.monotonic()
            self._expiry_by_session = {
                session_id: until for session_id, until in self._expiry_by_session.items() if until > time.time()
            }

    async def _publish_pending(self) -> None:
        """Publish what has not been published; what fails is published when Redis is back."""
        pending = {
            session_id: self._expiry_by_session[session_id]
            for session_id in self._unpublished
            if session_id in self._expiry_by_session
        }
        if not pending:
            self._unpublished.clear()
            return
        try:
            async with asyncio.timeout(_PUBLISH_TIMEOUT_S):
                await self._publish(pending)
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("revocations_deferred", sessions=len(pending), error=str(error))
        else:
            self._unpublished -= pending.keys()

    async def _publish(self, expiry_by_session: Mapping[str, float]) -> None:
        async with self._client.pipeline() as pipeline:
            pipeline.zadd(_REVOKED_SESSIONS_KEY, dict(expiry_by_session))
            pipeline.zremrangebyscore(_REVOKED_SESSIONS_KEY, "-inf", time.time())
            pipeline.expire(_REVOKED_SESSIONS_KEY, int(self.lifetime_s) + 1)
            pipeline.publish(_CHANNEL, json.dumps(expiry_by_session))
            await pipeline.execute()
