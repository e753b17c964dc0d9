"""What all attempts of a worker share, and how they wait for a server that is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from transcode.aio import wait_for_event
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ledger import Ledger, LedgerUnavailable
from transcode.repository import RepositoryUnavailable, VideoRepository
from transcode.timing import Timing
from transcode.worker.disk_guard import DiskGuard
from transcode.worker.pool import EncoderPool

log = logging.getLogger(__name__)

T = TypeVar("T")

UNAVAILABLE_ERRORS = (LedgerUnavailable, RepositoryUnavailable)


class ShuttingDown(Exception):
    """The worker leaves while something is still out of reach; the lease will expire by itself."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """One per worker."""

    ledger: Ledger
    repository: VideoRepository
    pool: EncoderPool
    binaries: FfmpegBinaries
    media_root: Path  # the media folder
    disk_guard: DiskGuard
    shutting_down: asyncio.Event
    request_reconcile: Callable[[], None]  # something is not as the ledger had it: look soon

    @property
    def timing(self) -> Timing:
        """The time constants."""
        return self.ledger.timing

    async def retry_until_available(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a repeatable call with growing pauses while the ledger or the catalogue is away; logs once.

        Raises Left when the worker is to leave before there is an answer.
        """
        pause, told = self.timing.min_reconnect_delay_s, False
        while True:
            try:
                return await call()
            except UNAVAILABLE_ERRORS as error:
                if self.shutting_down.is_set():
                    raise ShuttingDown from error
                if not told:
                    log.warning("%s: %s; trying again until it is back", _log_event(error), error)
                told = True
            await wait_for_event(self.shutting_down, pause)
            pause = min(2 * pause, self.timing.max_reconnect_delay_s)


def _log_event(error: Exception) -> str:
    return "book_away" if isinstance(error, RepositoryUnavailable) else "ledger_away"
