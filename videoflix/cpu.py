"""How many processor cores this process may use: a container is often given fewer than the machine has."""

from __future__ import annotations

import math
import os
import sys
from contextlib import suppress
from pathlib import Path

_CPU_QUOTA_FILE = Path(
    "/sys/fs/cgroup/cpu.max"
)  # of a container, in microseconds: how many, of how many (cgroups(7), version 2)


def count_usable_cores(quota_file: Path = _CPU_QUOTA_FILE) -> int:
    """At least one."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no container, or no limit: "max 100000"
        most, period = quota_file.read_text().split()
        cores = min(cores, math.ceil(int(most) / int(period)))
    return max(1, cores)
