"""How tasks run ffmpeg: watched, within limits, and in their own scratch folder."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from transcode.errors import NoRoom, Stopped, TooLarge
from transcode.runner import GIB, Limits, Run
from transcode.tasks.assignment import Assignment, Monitor

BULK = Limits(nice=10)  # behind web processes and behind what viewers wait for
URGENT = Limits()


def whole_film(seconds: float) -> Limits:
    """Return the limits of one run through a whole film: a slow machine needs as long as the film is for its sound."""
    return replace(BULK, cpu=BULK.cpu + int(seconds))


_LEFT = 512 * 1024  # bytes; with less on the volume, what was just written cannot be trusted

Progress = Callable[[Mapping[str, str]], float]


def run(
    assignment: Assignment,
    monitor: Monitor,
    argv: Sequence[str],
    limits: Limits = BULK,
    progress: Progress | None = None,
    listen: Callable[[str], None] | None = None,
) -> Run:
    """Run ffmpeg to its end in the scratch folder; what it said is in the result's `last_words`.

    `progress` turns a block of ffmpeg's progress into a part of 0..1; before it `listen` gets what was said so far,
    and ends the run with what it raises. Raises MediaError or Stopped.
    """

    def report(block: Mapping[str, str]) -> None:
        assert progress is not None
        if listen:
            listen(done.last_words)
        monitor.progress(min(1.0, max(0.0, progress(block))))

    done = Run(
        [assignment.tools.ffmpeg, *argv],
        assignment.scratch,
        replace(limits, memory=assignment.tools.memory),
        stopped=monitor.stopped,
        progress=report if progress else None,
    )
    done()
    if monitor.stopped():  # it is somebody else's task by now, who may have finished it: nothing is published any more
        raise Stopped
    # The muxer of HLS writes into a full disk without a word, and ends as if all were well.
    if shutil.disk_usage(assignment.scratch).free < _LEFT:
        raise NoRoom(last_words=done.last_words)
    return done


def require_room(assignment: Assignment, size: int) -> None:
    """Raise TooLarge unless so many bytes fit on the volume: what would fill it is not even begun.

    Down to the reserve, for below that all work on the volume is stopped, and this would be begun again for ever.
    """
    if shutil.disk_usage(assignment.scratch).free < size + max(_LEFT, assignment.reserve):
        raise TooLarge(f"There is no room for a copy of {size / GIB:.1f} GiB.")


def of_frames(frames: int) -> Progress:
    """Progress by frames encoded."""
    return lambda block: number(block, "frame") / frames


def of_seconds(seconds: float) -> Progress:
    """Progress by time stamps written."""
    return lambda block: number(block, "out_time_us") / 1e6 / seconds


def of_reading(seconds: float, monitor: Monitor) -> Progress:
    """Like `of_seconds`, for tracks that may be empty for long: that ffmpeg reports at all is a sign of life."""
    reports = itertools.count(1)
    written = of_seconds(seconds)

    def progress(block: Mapping[str, str]) -> float:
        monitor.parts(next(reports))
        return written(block)

    return progress


def of_bytes(size: int) -> Progress:
    """Progress by bytes written."""
    return lambda block: number(block, "total_size") / size


def number(block: Mapping[str, str], key: str) -> float:
    """A value of a block; 0 while ffmpeg says N/A."""
    try:
        return float(block.get(key, 0))
    except ValueError:
        return 0.0
