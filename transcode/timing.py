"""Every timeout and interval of the engine, in seconds, with its reason. Tests use smaller ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Timeouts, intervals and retention periods."""

    # A lease outlives a few missed heartbeats (a paused machine, a restart of Redis), yet the tasks of a dead worker
    # are handed out again within a quarter of a minute.
    lease_ttl_s: float = 15.0
    # A Redis that hangs counts as unavailable long before a lease expires, when the work would be abandoned.
    redis_timeout_s: float = 5.0
    # A cancellation reaches ffmpeg within two seconds even if its wake-up message is lost.
    heartbeat_interval_s: float = 1.0
    reap_interval_s: float = 1.0
    # Wake-ups come by message; this only limits the delay after a lost one.
    poll_interval_s: float = 5.0
    reconcile_interval_s: float = 30.0

    # Retries wait retry_backoff_s * 2 ** (attempt - 1), at most max_retry_backoff_s, plus up to the same again at
    # random.
    retry_backoff_s: float = 2.0
    max_retry_backoff_s: float = 60.0
    # A viewer waits for an on-demand segment, so its retry follows at once.
    segment_retry_backoff_s: float = 0.2

    # ffmpeg reports progress twice a second; a slow source on a loaded machine may pause, but not for this long.
    stall_timeout_s: float = 120.0
    # A viewer waits for an on-demand segment: a hung one is given up early. Still, decoding the frames between the last
    # key frame of a large picture and the wanted one takes time, during which ffmpeg reports no progress.
    segment_stall_timeout_s: float = 16.0
    # The first task of a source of many hours reads the whole file once. Later tasks have the duration of the video in
    # addition.
    task_timeout_s: float = 6 * 3600.0
    # From the stop flag to the kill of the pool child: ffmpeg ends within a second after a stop request.
    stop_timeout_s: float = 1.2
    # From SIGTERM to the end of the worker; container managers kill after ten seconds.
    shutdown_timeout_s: float = 8.0
    # Delays between attempts to reach a Redis or a database that is unavailable.
    min_reconnect_delay_s: float = 0.2
    max_reconnect_delay_s: float = 5.0
    # No task is claimed for this long after free space was found to be too low.
    disk_full_pause_s: float = 5.0

    # Optional parts that a video was published without (a storyboard, subtitles) are retried after ten minutes, an
    # hour, six hours, a day and another day: a cause that passes (memory, a server, a software update) does so within
    # days, if at all.
    optional_retry_delay_s: float = 600.0
    optional_retry_growth: float = 6.0
    max_optional_retry_delay_s: float = 24 * 3600.0
    max_optional_retries: int = 5

    # Players give up after 20 s, so the "busy" response comes before that.
    segment_wait_timeout_s: float = 18.0
    # The segment requests of a web process that died expire after this.
    request_ttl_s: float = 20.0
    # A waiting request also checks for the file itself, so that a lost message costs only a second.
    file_poll_interval_s: float = 1.0
    # A segment that failed is not tried again for this long, however often players request it.
    failed_segment_ttl_s: float = 10.0
    # How long a cancellation waits for workers to release the video. It does not wait for one that is paused or dead:
    # that one has lost its leases, and the sweeper removes what it still writes.
    cancel_timeout_s: float = 3.0

    # An upload that no process has open and that has not changed for minutes belongs to a process that died: from its
    # last byte to its import it takes some seconds, and a few more while the database is unavailable.
    abandoned_upload_age_s: float = 300.0
    # An upload that has not grown for a day counts as abandoned where it is unknown whether a process has it open.
    max_upload_age_s: float = 24 * 3600.0
    # Ended jobs stay visible to admins for a week, and never more of them than max_ended_jobs.
    job_retention_s: float = 7 * 24 * 3600.0
    max_ended_jobs: int = 500


DEFAULT_TIMING = Timing()
