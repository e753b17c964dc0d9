"""Run ffmpeg for a task: in its scratch folder, within limits, and with progress reports."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from transcode.errors import DiskFull, OutputTooLarge, Stopped
from transcode.ffmpeg.process import GIB, FfmpegProcess, ResourceLimits
from transcode.tasks.context import ProgressSink, TaskContext

BATCH_LIMITS = ResourceLimits(nice=10)  # lower priority than web processes and on-demand segments
ON_DEMAND_LIMITS = ResourceLimits()
_MIN_FREE_BYTES = 512 * 1024  # with less free space on the volume, output may be incomplete

# Converts a block of ffmpeg's progress report into a fraction from 0 to 1.
ProgressParser = Callable[[Mapping[str, str]], float]


def whole_video_limits(seconds: float) -> ResourceLimits:
    """Return the limits of a run through a whole video: on a slow machine, audio alone may take as long as it lasts."""
    return replace(BATCH_LIMITS, cpu_seconds=BATCH_LIMITS.cpu_seconds + int(seconds))


def run_ffmpeg(
    context: TaskContext,
    progress_sink: ProgressSink,
    argv: Sequence[str],
    limits: ResourceLimits = BATCH_LIMITS,
    parse_progress: ProgressParser | None = None,
    on_stderr: Callable[[str], None] | None = None,
) -> FfmpegProcess:
    """Run ffmpeg in the scratch folder and return the finished process with its `stderr_tail`.

    `parse_progress` converts a block of ffmpeg's progress into a fraction from 0 to 1. `on_stderr` is called with the
    stderr so far before each report; an exception from it ends the run. Raises MediaError or Stopped.
    """

    def report(block: Mapping[str, str]) -> None:
        assert parse_progress is not None
        if on_stderr:
            on_stderr(process.stderr_tail)
        progress_sink.report_progress(min(1.0, max(0.0, parse_progress(block))))

    process = FfmpegProcess(
        [context.binaries.ffmpeg, *argv],
        context.scratch_dir,
        replace(limits, memory_bytes=context.binaries.memory),
        is_stop_requested=progress_sink.is_stop_requested,
        on_progress=report if parse_progress else None,
    )
    process.run()
    # Another worker may have taken over and finished the task by now, so nothing more may be published.
    if progress_sink.is_stop_requested():
        raise Stopped
    # The HLS muxer ignores write errors on a full disk and exits with success.
    if shutil.disk_usage(context.scratch_dir).free < _MIN_FREE_BYTES:
        raise DiskFull(stderr_tail=process.stderr_tail)
    return process


def require_free_space(context: TaskContext, size: int) -> None:
    """Raise OutputTooLarge unless `size` bytes fit on the volume without touching the reserve.

    Below the reserve the worker stops all tasks, so a copy that needs it would be started again and again.
    """
    if shutil.disk_usage(context.scratch_dir).free < size + max(_MIN_FREE_BYTES, context.reserve_bytes):
        text = f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 1024**2:.1f} MiB"
        raise OutputTooLarge(f"There is not enough disk space for a copy of {text}.")


def progress_by_frames(frame_count: int) -> ProgressParser:
    """Return a parser that measures progress in encoded frames."""
    return lambda block: read_number(block, "frame") / frame_count


def progress_by_time(seconds: float) -> ProgressParser:
    """Return a parser that measures progress in seconds of output."""
    return lambda block: read_number(block, "out_time_us") / 1e6 / seconds


def progress_with_keepalive(seconds: float, progress_sink: ProgressSink) -> ProgressParser:
    """Like `progress_by_time`, for tracks with long gaps: every report of ffmpeg counts as progress."""
    reports = itertools.count(1)
    fraction = progress_by_time(seconds)

    def parse(block: Mapping[str, str]) -> float:
        progress_sink.report_parts(next(reports))
        return fraction(block)

    return parse


def progress_by_bytes(size: int) -> ProgressParser:
    """Return a parser that measures progress in bytes of output."""
    return lambda block: read_number(block, "total_size") / size


def read_number(block: Mapping[str, str], key: str) -> float:
    """Return a number from a progress block, 0 while ffmpeg reports N/A."""
    try:
        return float(block.get(key, 0))
    except ValueError:
        return 0.0
