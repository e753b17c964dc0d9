"""What all attempts of a worker share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ledger import Ledger
from transcode.timing import Timing
from transcode.worker.disk_guard import DiskGuard
from transcode.worker.outages import RetryingRepository
from transcode.worker.pool import EncoderPool


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What all attempts of one worker share."""

    ledger: Ledger  # waits while Redis is unavailable
    repository: RetryingRepository
    heartbeat_ledger: Ledger  # raises LedgerUnavailable, because a heartbeat must not wait
    pool: EncoderPool
    binaries: FfmpegBinaries
    media_root: Path
    disk_guard: DiskGuard
    shutting_down: asyncio.Event
    request_reconcile: Callable[[], None]  # ask for an early reconciliation
    timing: Timing
