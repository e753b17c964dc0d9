"""Every time constant of the engine, in seconds, with its reason. Tests make them smaller."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things may take, and how often things are looked at."""

    # A lease outlives a few missed heartbeats (a paused machine, a Redis that restarts), yet a dead worker's
    # tasks are handed out again within a quarter of a minute.
    lease_ttl_s: float = 15.0
    # A Redis that hangs counts as away long before the lease is over, in which time the work would be given up.
    redis_timeout_s: float = 5.0
    # A cancel reaches ffmpeg within two seconds even when its wake-up message is lost.
    heartbeat_interval_s: float = 1.0
    reap_interval_s: float = 1.0
    # Wake-ups come by message; this only bounds what a lost message costs.
    poll_interval_s: float = 5.0
    reconcile_interval_s: float = 30.0

    # Retries: base * 2 ** (attempt - 1), at most `backoff_max`, plus up to the same again at random.
    retry_backoff_s: float = 2.0
    max_retry_backoff_s: float = 60.0
    # A viewer waits for an interactive segment, so its retry comes at once.
    segment_retry_backoff_s: float = 0.2

    # ffmpeg reports progress twice a second; a slow source on a loaded machine may pause, but not this long.
    stall_timeout_s: float = 120.0
    # A viewer waits for an interactive segment: not long for one that hangs, yet the frames between the last key
    # frame of a large picture and the wanted one take their time, and ffmpeg counts none of them.
    segment_stall_timeout_s: float = 16.0
    # An opening task of a source of many hours reads the whole file once. Later tasks have as long as the film besides.
    task_timeout_s: float = 6 * 3600.0
    # From the stop flag to the kill of the pool child: ffmpeg ends within a second when it is asked to.
    stop_timeout_s: float = 1.2
    # From SIGTERM to the end of the worker; container managers kill after ten.
    shutdown_timeout_s: float = 8.0
    # Pauses between attempts to reach a Redis or a database that is away.
    min_reconnect_delay_s: float = 0.2
    max_reconnect_delay_s: float = 5.0
    # Nothing is claimed for this long after a look found too little free space.
    disk_full_pause_s: float = 5.0

    # What a film was published without (a storyboard, subtitles) is tried again after ten minutes, an hour, six hours,
    # a day and another one: a cause that passes (memory, a server, an update of ours) does so within days, if at all.
    optional_retry_delay_s: float = 600.0
    optional_retry_growth: float = 6.0
    max_optional_retry_delay_s: float = 24 * 3600.0
    max_optional_retries: int = 5

    # Players give up after 20 s (contract), so the answer "busy" comes before that.
    segment_wait_timeout_s: float = 18.0
    # A web process that died stops wanting its segments after this.
    request_ttl_s: float = 20.0
    # A waiting request looks for the file itself now and then: a lost message then costs a second.
    file_poll_interval_s: float = 1.0
    # A segment that cannot be made is not tried again for this long, however often players ask.
    failed_segment_ttl_s: float = 10.0
    # How long a cancel waits for the workers to let go of the film. One that is paused or dead is not waited for:
    # it has lost its leases, and what it still writes is swept.
    cancel_timeout_s: float = 3.0

    # An upload that nobody has open and that has not changed for minutes belongs to a process that died: the time from
    # its last byte to its place among the films is some seconds, and a few more while the database is away.
    abandoned_upload_age_s: float = 300.0
    # The same of one that has not grown for a day, where nobody can tell whether it is open.
    max_upload_age_s: float = 24 * 3600.0
    # Ended jobs stay visible to admins for a week, and never more than this many of them.
    job_retention_s: float = 7 * 24 * 3600.0
    max_ended_jobs: int = 500


DEFAULT_TIMING = Timing()
