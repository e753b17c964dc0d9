"""The guard of the media volume: nothing is begun on one that is nearly full or away, nor written until it is full."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from pathlib import Path

from transcode import paths

log = logging.getLogger(__name__)


class DiskGuard:
    """Free space on the volume of the media folder, in bytes; `pause`: seconds without room after it ran full.

    A thread looks at it, for a network share may take its time; the questions are answered from the last look.
    """

    def __init__(self, media_root: Path, min_free: int, full_pause: float) -> None:
        self._media_root = media_root
        self.min_free = min_free
        self._full_pause = full_pause
        self._free_bytes = 0
        self._full_until = 0.0

    async def measure(self) -> None:
        """Once at least, before anything is asked."""
        self._free_bytes = await asyncio.to_thread(self._measure_free)

    async def run(self, interval: float) -> None:
        """Look for ever, with so many seconds between."""
        while True:
            await self.measure()
            await asyncio.sleep(interval)

    @property
    def missing_resource(self) -> str:
        """What there is not enough of, in words for admins."""
        return "free disk space" if self._free_bytes >= 0 else "the media volume"

    def can_start(self) -> bool:
        """Whether a task may be claimed."""
        return self._free_bytes >= self.min_free and not self._is_full

    def can_serve(self) -> bool:
        """Whether a task that a viewer waits for may be claimed: the reserve is there for those, too."""
        return self.can_continue() and not self._is_full

    def can_continue(self) -> bool:
        """Whether a running task may go on: half the reserve, so that the guard does not flap."""
        return self._free_bytes >= self.min_free // 2

    def report_disk_full(self) -> None:
        """A task found no room, whatever the numbers say (a quota, a reserve that is too small)."""
        self._full_until = time.monotonic() + self._full_pause

    @property
    def _is_full(self) -> bool:
        return time.monotonic() < self._full_until

    def _measure_free(self) -> int:
        """-1 for a volume that is away: what would be begun without it would fail its film.

        Where one is mounted and is not, there is an empty folder; films and uploads do not go both at once otherwise.
        """
        try:
            is_there = (self._media_root / paths.HLS_DIR).is_dir() or (self._media_root / paths.SOURCES_DIR).is_dir()
            return shutil.disk_usage(self._media_root).free if is_there else -1
        except OSError as error:
            log.warning("disk_away: %s", error)
            return -1
