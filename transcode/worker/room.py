"""The guard of the media volume: nothing is begun on one that is nearly full or away, nor written until it is full."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from pathlib import Path

log = logging.getLogger(__name__)


class Room:
    """Free space on the volume of the media folder, in bytes; `pause`: seconds without room after it ran full.

    A thread looks at it, for a network share may take its time; the questions are answered from the last look.
    """

    def __init__(self, root: Path, min_free: int, pause: float) -> None:
        self._root = root
        self.min_free = min_free
        self._pause = pause
        self._free = 0
        self._full_until = 0.0

    async def look(self) -> None:
        """Once at least, before anything is asked."""
        self._free = await asyncio.to_thread(self._measured)

    async def watch(self, every: float) -> None:
        """Look for ever, with so many seconds between."""
        while True:
            await self.look()
            await asyncio.sleep(every)

    @property
    def lacking(self) -> str:
        """What there is not enough of, in words for admins."""
        return "free disk space" if self._free >= 0 else "the media volume"

    def to_begin(self) -> bool:
        """Whether a task may be claimed."""
        return self._free >= self.min_free and not self._ran_full

    def to_serve(self) -> bool:
        """Whether a task that a viewer waits for may be claimed: the reserve is there for those, too."""
        return self.to_go_on() and not self._ran_full

    def to_go_on(self) -> bool:
        """Whether a running task may go on: half the reserve, so that the guard does not flap."""
        return self._free >= self.min_free // 2

    def ran_full(self) -> None:
        """A task found no room, whatever the numbers say (a quota, a reserve that is too small)."""
        self._full_until = time.monotonic() + self._pause

    @property
    def _ran_full(self) -> bool:
        return time.monotonic() < self._full_until

    def _measured(self) -> int:
        """-1 for a volume that is away: what would be begun without it would fail its film.

        Where one is mounted and is not, there is an empty folder; films and uploads do not go both at once otherwise.
        """
        try:
            is_there = (self._root / "hls").is_dir() or (self._root / "videos").is_dir()
            return shutil.disk_usage(self._root).free if is_there else -1
        except OSError as error:
            log.warning("disk_away: %s", error)
            return -1
