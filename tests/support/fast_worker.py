"""`videoflix worker` with short leases and pauses, as a program."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

from tests.support.fast_timing import FAST_TIMING
from videoflix import logs
from videoflix.bootstrap.worker import run_worker
from videoflix.settings import load_settings

# Only where a test wants it, a program that stands still is stopped: on a busy machine many seem to.
STALL = float(os.environ.get("TEST_STALL", "60"))
TIMES = replace(FAST_TIMING, heartbeat_interval_s=0.1, stall_timeout_s=STALL, segment_stall_timeout_s=STALL)

if __name__ == "__main__":
    logs.configure("worker", "INFO")
    asyncio.run(run_worker(load_settings(), TIMES))
