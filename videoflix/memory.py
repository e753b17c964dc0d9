"""How much memory this process may use: a container is often given less than the machine has."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container, in bytes (cgroups(7), version 2)


def usable_memory(limit: Path = _LIMIT) -> int:
    """Return bytes, without what is swapped."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no container, or no limit: "max"
        memory = min(memory, int(limit.read_text()))
    return memory
