"""The thumbnail task: take the picture at one second, or a brighter one if that is black."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypedDict

from transcode import paths, publishing
from transcode.errors import MediaError
from transcode.ffmpeg import video_filters
from transcode.ffmpeg.inputs import LOG_ERRORS, NO_METADATA, guarded_input
from transcode.ffmpeg.process import FfmpegProcess
from transcode.presentation import Presentation
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.working_copy import working_source

THUMBNAIL_FILE = "thumbnail.jpg"

_LONGER_SIDE_PX = 640
_DEFAULT_TIME_S = Fraction(1)
_FALLBACK_SHARES = (Fraction(1, 10), Fraction(1, 4), Fraction(1, 2))  # of the duration
_MIN_LUMA = 32.0  # mean luma below which a picture counts as black; black itself is 16
_LUMA_PATTERN = re.compile(r"YAVG=([\d.]+)")
_BRIGHTEST_FILE = "brightest.jpg"


@dataclass(frozen=True, slots=True)
class ThumbnailPlan:
    """Writes `THUMBNAIL_FILE`, and prints the frame's mean luma (16 is black) as `...YAVG=<number>`."""

    presentation: Presentation
    time: Fraction  # in the video, in seconds
    source: Path

    def argv(self) -> list[str]:
        """Return the arguments of ffmpeg."""
        presentation, top = self.presentation, self.presentation.top_rendition
        size = f"{_LONGER_SIDE_PX}:-2" if top.width >= top.height else f"-2:{_LONGER_SIDE_PX}"
        chains = [
            f"[0:{presentation.video.index}]{video_filters.grid_filters(presentation, self.time, 1)}[grid]",
            *video_filters.scale_chains(presentation, [top]),
            f"[{top.name}]signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-,scale={size}[jpeg]",
        ]
        return [
            *LOG_ERRORS, "-copyts",
            *guarded_input(self.source, "-an", *video_filters.seek_options(presentation, self.time)),
            "-filter_complex", ";".join(chains), "-map", "[jpeg]", *NO_METADATA,
            "-frames:v", "1", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "3", "-f", "image2", "-update", "1",
            THUMBNAIL_FILE,
        ]  # fmt: skip


class ThumbnailResult(TypedDict):
    """Result of the thumbnail task."""

    at: float  # position of the picture in the video, in seconds


def make_thumbnail(context: TaskContext, progress_sink: ProgressSink) -> ThumbnailResult:
    """Publish the first candidate that is bright enough, or else the brightest one."""
    presentation, source = context.presentation, working_source(context)
    brightest_time, max_luma = Fraction(0), -1.0
    for time in candidate_times(presentation):
        luma = _parse_luma(_run(context, progress_sink, ThumbnailPlan(presentation, time, source)))
        if luma > max_luma:
            brightest_time, max_luma = time, luma
            (context.scratch_dir / THUMBNAIL_FILE).replace(context.scratch_dir / _BRIGHTEST_FILE)
        if max_luma >= _MIN_LUMA:
            break
    destination = paths.thumbnail_path(context.media_root, context.video_id)
    publishing.publish(context.scratch_dir / _BRIGHTEST_FILE, destination)
    publishing.fsync_path(destination.parent)
    return {"at": float(brightest_time)}


def _run(context: TaskContext, progress_sink: ProgressSink, plan: ThumbnailPlan) -> str:
    """Run the plan and return its output."""
    argv = [context.binaries.ffmpeg, *plan.argv()]
    return FfmpegProcess(argv, context.scratch_dir, encode.BATCH_LIMITS, progress_sink.is_stop_requested).run()


def candidate_times(presentation: Presentation) -> list[Fraction]:
    """Return the times of the frames to try in seconds, the preferred one first."""
    duration, fps = presentation.grid.duration, presentation.grid.fps
    first = _DEFAULT_TIME_S if duration > _DEFAULT_TIME_S else duration / 2
    return [math.floor(time * fps) / fps for time in (first, *(share * duration for share in _FALLBACK_SHARES))]


def _parse_luma(output: str) -> float:
    match = _LUMA_PATTERN.search(output)
    if match is None:
        raise MediaError("No picture could be taken from this video.")
    return float(match[1])
