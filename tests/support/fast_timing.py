"""The engine's time constants for tests: what takes 15 seconds in production takes two."""

from __future__ import annotations

from transcode.timing import Timing

FAST_TIMING = Timing(
    lease_ttl_s=2.0, heartbeat_interval_s=0.2, reap_interval_s=0.3, poll_interval_s=1.0, reconcile_interval_s=0.5,
    retry_backoff_s=0.05, max_retry_backoff_s=0.2, stall_timeout_s=3.0,
    segment_stall_timeout_s=1.0, disk_full_pause_s=0.2, min_reconnect_delay_s=0.05, max_reconnect_delay_s=0.3,
    segment_wait_timeout_s=5.0, request_ttl_s=3.0, file_poll_interval_s=0.3,
    failed_segment_ttl_s=1.0, cancel_timeout_s=1.0,
)  # fmt: skip
