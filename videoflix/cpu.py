"""The number of CPU cores that this process may use, which is often lower in a container than on the machine."""

from __future__ import annotations

import math
import os
import sys
from contextlib import suppress
from pathlib import Path

# "<quota> <period>" in microseconds for a container (cgroups(7), version 2).
_CPU_QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")


def count_usable_cores(quota_file: Path = _CPU_QUOTA_FILE) -> int:
    """Return how many cores this process may use, at least one."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no container, or no limit: "max 100000"
        quota, period = quota_file.read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(1, cores)
