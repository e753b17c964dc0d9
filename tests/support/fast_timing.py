"""The engine's time constants for tests: what takes 15 seconds in production takes two."""

from __future__ import annotations

from transcode.times import Times

FAST_TIMING = Times(
    lease=2.0, heartbeat=0.2, reap=0.3, poll=1.0, reconcile=0.5, backoff=0.05, backoff_max=0.2, stall=3.0,
    stall_segment=1.0, room=0.2, away_first=0.05, away_most=0.3, wait_segment=5.0, interest=3.0, look=0.3,
    dead_segment=1.0, cancel_patience=1.0,
)  # fmt: skip
