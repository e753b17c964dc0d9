"""`videoflix worker` with shorter leases and pauses."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.transcode.quick import QUICK
from videoflix import logs
from videoflix.composition.worker import work
from videoflix.settings import load_settings

TIMES = replace(QUICK, heartbeat=0.1, stall=4.0, stall_segment=4.0)

if __name__ == "__main__":
    logs.configure("worker", "INFO")
    asyncio.run(work(load_settings(), TIMES))
