"""Watches the media volume, so that no task starts on one that is nearly full or missing, or fills it up."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

import structlog

from transcode import paths

_log = structlog.get_logger(__name__)


class DiskGuard:
    """Measures free space on the volume of the media folder; checks use the last measurement.

    `min_free` is the reserve in bytes, `full_pause` how many seconds work pauses after a task found the disk full.
    Measurements run in a thread, because a network share may be slow.
    """

    def __init__(self, media_root: Path, min_free: int, full_pause: float) -> None:
        self._media_root = media_root
        self.min_free = min_free
        self._full_pause = full_pause
        self._free_bytes = 0
        self._full_until = 0.0

    async def measure(self) -> None:
        """Measure free space now. Required before the first check."""
        self._free_bytes = await asyncio.to_thread(self._measure_free)

    async def run(self, interval: float) -> None:
        """Measure every `interval` seconds until cancelled."""
        while True:
            await self.measure()
            await asyncio.sleep(interval)

    @property
    def missing_resource(self) -> str:
        """What is lacking, in words for admins."""
        return "free disk space" if self._free_bytes >= 0 else "the media volume"

    def can_start(self) -> bool:
        """Return whether a task may be claimed."""
        return self._free_bytes >= self.min_free and not self._is_full

    def can_serve(self) -> bool:
        """Return whether an on-demand task may be claimed. These may use the reserve."""
        return self.can_continue() and not self._is_full

    def can_continue(self) -> bool:
        """Return whether a running task may continue: down to half the reserve, so that the guard does not flap."""
        return self._free_bytes >= self.min_free // 2

    def report_disk_full(self) -> None:
        """Pause work because a task found the disk full, despite the measurement (a quota, too small a reserve)."""
        self._full_until = time.monotonic() + self._full_pause

    @property
    def _is_full(self) -> bool:
        return time.monotonic() < self._full_until

    def _measure_free(self) -> int:
        """Return the free bytes, or -1 if the volume is missing, because tasks without it would fail their videos.

        An empty folder means that a volume is not mounted: otherwise, published and source files never vanish at once.
        """
        try:
            is_mounted = (self._media_root / paths.HLS_DIR).is_dir() or (self._media_root / paths.SOURCES_DIR).is_dir()
            return shutil.disk_usage(self._media_root).free if is_mounted else -1
        except OSError as error:
            _log.warning("volume_unavailable", error=str(error))
            return -1
