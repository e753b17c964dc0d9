"""`videoflix worker` with short leases and pauses, as a program."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

from tests.support.fast_timing import FAST_TIMING
from videoflix import logs
from videoflix.composition.worker import work
from videoflix.settings import load_settings

# Only where a test wants it, a program that stands still is stopped: on a busy machine many seem to.
STALL = float(os.environ.get("TEST_STALL", "60"))
TIMES = replace(FAST_TIMING, heartbeat=0.1, stall=STALL, stall_segment=STALL)

if __name__ == "__main__":
    logs.configure("worker", "INFO")
    asyncio.run(work(load_settings(), TIMES))
