"""How tasks run ffmpeg: watched, within limits, and in their own scratch folder."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from transcode.errors import DiskFull, OutputTooLarge, Stopped
from transcode.ffmpeg.process import GIB, FfmpegProcess, ResourceLimits
from transcode.tasks.context import ProgressSink, TaskContext

BATCH_LIMITS = ResourceLimits(nice=10)  # behind web processes and behind what viewers wait for
ON_DEMAND_LIMITS = ResourceLimits()


def whole_video_limits(seconds: float) -> ResourceLimits:
    """Return the limits of one run through a whole film: a slow machine needs as long as the film is for its sound."""
    return replace(BATCH_LIMITS, cpu_seconds=BATCH_LIMITS.cpu_seconds + int(seconds))


_MIN_FREE_BYTES = 512 * 1024  # bytes; with less on the volume, what was just written cannot be trusted

ProgressParser = Callable[[Mapping[str, str]], float]


def run_ffmpeg(
    context: TaskContext,
    progress_sink: ProgressSink,
    argv: Sequence[str],
    limits: ResourceLimits = BATCH_LIMITS,
    parse_progress: ProgressParser | None = None,
    on_stderr: Callable[[str], None] | None = None,
) -> FfmpegProcess:
    """Run ffmpeg to its end in the scratch folder; what it said is in the result's `last_words`.

    `progress` turns a block of ffmpeg's progress into a part of 0..1; before it `listen` gets what was said so far,
    and ends the run with what it raises. Raises MediaError or Stopped.
    """

    def report(block: Mapping[str, str]) -> None:
        assert parse_progress is not None
        if on_stderr:
            on_stderr(done.stderr_tail)
        progress_sink.report_progress(min(1.0, max(0.0, parse_progress(block))))

    done = FfmpegProcess(
        [context.binaries.ffmpeg, *argv],
        context.scratch_dir,
        replace(limits, memory_bytes=context.binaries.memory),
        is_stop_requested=progress_sink.is_stop_requested,
        on_progress=report if parse_progress else None,
    )
    done()
    if (
        progress_sink.is_stop_requested()
    ):  # it is somebody else's task by now, who may have finished it: nothing is published any more
        raise Stopped
    # The muxer of HLS writes into a full disk without a word, and ends as if all were well.
    if shutil.disk_usage(context.scratch_dir).free < _MIN_FREE_BYTES:
        raise DiskFull(stderr_tail=done.stderr_tail)
    return done


def require_free_space(context: TaskContext, size: int) -> None:
    """Raise TooLarge unless so many bytes fit on the volume: what would fill it is not even begun.

    Down to the reserve, for below that all work on the volume is stopped, and this would be begun again for ever.
    """
    if shutil.disk_usage(context.scratch_dir).free < size + max(_MIN_FREE_BYTES, context.reserve_bytes):
        raise OutputTooLarge(f"There is no room for a copy of {size / GIB:.1f} GiB.")


def progress_by_frames(frame_count: int) -> ProgressParser:
    """Progress by frames encoded."""
    return lambda block: read_number(block, "frame") / frame_count


def progress_by_time(seconds: float) -> ProgressParser:
    """Progress by time stamps written."""
    return lambda block: read_number(block, "out_time_us") / 1e6 / seconds


def progress_with_keepalive(seconds: float, progress_sink: ProgressSink) -> ProgressParser:
    """Like `of_seconds`, for tracks that may be empty for long: that ffmpeg reports at all is a sign of life."""
    reports = itertools.count(1)
    written = progress_by_time(seconds)

    def progress(block: Mapping[str, str]) -> float:
        progress_sink.report_parts(next(reports))
        return written(block)

    return progress


def progress_by_bytes(size: int) -> ProgressParser:
    """Progress by bytes written."""
    return lambda block: read_number(block, "total_size") / size


def read_number(block: Mapping[str, str], key: str) -> float:
    """A value of a block; 0 while ffmpeg says N/A."""
    try:
        return float(block.get(key, 0))
    except ValueError:
        return 0.0
