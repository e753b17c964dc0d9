"""The worker process."""

from __future__ import annotations

import asyncio
import signal

import structlog

from transcode import Ledger
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ffmpeg.isolation import Isolation, isolation
from transcode.ffmpeg.process import GIB
from transcode.timing import DEFAULT_TIMING, Timing
from transcode.worker.worker import Worker
from videoflix.bootstrap.clients import open_clients
from videoflix.bootstrap.video_repository import MongoVideoRepository
from videoflix.embedded.binaries import find_ffmpeg_binaries
from videoflix.settings import Settings
from videoflix.startup_checks import require_media_root
from videoflix.stores.file_journal import FileJournalStore
from videoflix.stores.videos import VideoStore

_log = structlog.get_logger(__name__)


async def run_worker(settings: Settings, timing: Timing = DEFAULT_TIMING) -> None:
    """Run tasks from the ledger until SIGTERM or SIGINT; tasks that are still running are released."""
    binaries = FfmpegBinaries(*find_ffmpeg_binaries(), memory=settings.ffmpeg_memory)
    require_media_root(settings.media_root)
    async with open_clients(settings) as clients:
        ledger = Ledger(clients.redis, timing=timing)
        worker = Worker(
            ledger,
            MongoVideoRepository(VideoStore(clients.database), FileJournalStore(clients.database), ledger),
            binaries,
            settings.media_root.resolve(),
            slots=settings.batch_slots,
            min_free=int(settings.min_free_gib * 1024**3),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        if await ledger.evicts_keys():
            _log.warning("redis_evicts_keys", hint="set maxmemory-policy to noeviction, or jobs will be lost")
        gib, network = settings.ffmpeg_memory / GIB, isolation()
        _log.info("worker_started", slots=settings.batch_slots, ffmpeg_memory_gib=round(gib, 1), isolation=str(network))
        if network is Isolation.NONE:
            _log.warning("ffmpeg_has_network", hint="the kernel or the container does not allow network isolation")
        await worker.run()
    _log.info("worker_stopped")
