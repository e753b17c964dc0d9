"""The free-space guard: nothing is begun on a nearly full disk, and nothing is written until it is full."""

from __future__ import annotations

import shutil
import time
from pathlib import Path


class Room:
    """Free space on the volume of the media folder, in bytes; `pause`: seconds without room after it ran full."""

    def __init__(self, root: Path, min_free: int, pause: float) -> None:
        self._root = root
        self._min_free = min_free
        self._pause = pause
        self._full_until = 0.0

    def to_begin(self) -> bool:
        """Whether a task may be claimed."""
        return self._free() >= self._min_free and time.monotonic() >= self._full_until

    def ran_full(self) -> None:
        """A task found no room, whatever the numbers say (a quota, a reserve that is too small)."""
        self._full_until = time.monotonic() + self._pause

    def to_go_on(self) -> bool:
        """Whether a running task may go on: half the reserve, so that the guard does not flap."""
        return self._free() >= self._min_free // 2

    def _free(self) -> int:
        return shutil.disk_usage(self._root).free
