"""Wait for Redis or the database to come back: a retry policy, and the repository with every call retried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

import structlog

from transcode.aio import wait_for_event
from transcode.ledger import LedgerUnavailable
from transcode.presentation import Presentation
from transcode.repository import Omissions, RepositoryUnavailable, VideoRecord, VideoRepository
from transcode.timing import Timing

_log = structlog.get_logger(__name__)

T = TypeVar("T")

UNAVAILABLE_ERRORS = (LedgerUnavailable, RepositoryUnavailable)


class ShuttingDown(Exception):
    """The worker is shutting down while Redis or the database is unavailable. Leases will expire."""


class RetryUntilAvailable:
    """Repeats idempotent calls, with growing pauses, while Redis or the database is unavailable.

    Raises ShuttingDown if the worker is shutting down before a call succeeds.
    """

    def __init__(self, timing: Timing, shutting_down: asyncio.Event) -> None:
        self._timing = timing
        self._shutting_down = shutting_down

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the result of the first call that succeeds. Logs the outage once."""
        delay_s, is_logged = self._timing.min_reconnect_delay_s, False
        while True:
            try:
                return await call()
            except UNAVAILABLE_ERRORS as error:
                if self._shutting_down.is_set():
                    raise ShuttingDown from error
                if not is_logged:
                    _log.warning(_outage_event(error), error=str(error))
                is_logged = True
            await wait_for_event(self._shutting_down, delay_s)
            delay_s = min(2 * delay_s, self._timing.max_reconnect_delay_s)


class RetryingRepository:
    """What attempts use of the repository, with every call repeated while the database is unavailable."""

    def __init__(self, repository: VideoRepository, retry: RetryUntilAvailable) -> None:
        self._repository = repository
        self._retry = retry

    async def get(self, video_id: int) -> VideoRecord | None:
        """See `VideoRepository.get`."""
        return await self._retry(lambda: self._repository.get(video_id))

    async def set_presentation(self, video_id: int, presentation: Presentation) -> None:
        """See `VideoRepository.set_presentation`."""
        await self._retry(lambda: self._repository.set_presentation(video_id, presentation))

    async def mark_task_done(self, video_id: int, kind: str, index: int, result: Mapping[str, Any]) -> None:
        """See `VideoRepository.mark_task_done`."""
        await self._retry(lambda: self._repository.mark_task_done(video_id, kind, index, result))

    async def mark_missing(self, video_id: int, chunks: Collection[int], kinds: Collection[str]) -> None:
        """See `VideoRepository.mark_missing`."""
        await self._retry(lambda: self._repository.mark_missing(video_id, chunks, kinds))

    async def mark_finished(self, video_id: int, result: Mapping[str, Any], omissions: Omissions) -> None:
        """See `VideoRepository.mark_finished`."""
        await self._retry(lambda: self._repository.mark_finished(video_id, result, omissions))


def _outage_event(error: Exception) -> str:
    return "repository_unavailable" if isinstance(error, RepositoryUnavailable) else "ledger_unavailable"
