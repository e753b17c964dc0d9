"""The worker process."""

from __future__ import annotations

import asyncio
import logging
import signal

from transcode.isolation import Isolation, isolation
from transcode.ledger import Ledger
from transcode.runner import GIB
from transcode.times import DEFAULT, Times
from transcode.tools import Tools
from transcode.worker.worker import Worker
from videoflix.composition.clients import open_clients
from videoflix.composition.films import CatalogueBook
from videoflix.embedded.binaries import ffmpeg_tools
from videoflix.folders import require_media
from videoflix.settings import Settings
from videoflix.stores.deletions import DeletionStore
from videoflix.stores.videos import VideoStore

_log = logging.getLogger(__name__)


async def work(settings: Settings, times: Times = DEFAULT) -> None:
    """Take tasks from the ledger until SIGTERM or SIGINT; what is running is given back."""
    tools = Tools(*ffmpeg_tools(), memory=settings.ffmpeg_memory)
    require_media(settings.media_root)
    async with open_clients(settings) as clients:
        ledger = Ledger(clients.redis, times=times)
        worker = Worker(
            ledger,
            CatalogueBook(VideoStore(clients.database), DeletionStore(clients.database), ledger),
            tools,
            settings.media_root.resolve(),
            slots=settings.slots,
            min_free=int(settings.min_free_gib * 1024**3),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        if await ledger.loses_keys():
            _log.warning("redis_loses_keys: set its maxmemory-policy to noeviction, or work will get lost")
        gib, network = settings.ffmpeg_memory / GIB, isolation()
        _log.info("worker ready slots=%d ffmpeg_memory_gib=%.1f isolation=%s", settings.slots, gib, network)
        if network is Isolation.NONE:
            _log.warning("ffmpeg_has_network: the kernel, or this container, allows nothing that would take it away")
        await worker.run()
    _log.info("worker stopped")
