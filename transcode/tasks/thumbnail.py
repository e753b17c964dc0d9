"""The picture that stands for the film: one second into it, or a brighter one when that is black."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypedDict

from transcode import paths
from transcode.errors import MediaError
from transcode.ffmpeg import video_filters
from transcode.ffmpeg.inputs import LOG_ERRORS, NO_METADATA, guarded_input
from transcode.ffmpeg.process import FfmpegProcess
from transcode.presentation import Presentation
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.working_copy import working_source

_LONGER_SIDE_PX = 640  # pixels of the longer side

THUMBNAIL_FILE = "thumbnail.jpg"


@dataclass(frozen=True, slots=True)
class ThumbnailPlan:
    """Writes `THUMBNAIL`, and prints the frame's mean luma (16 is black) as `...YAVG=<number>`."""

    presentation: Presentation
    time: Fraction  # film time
    source: Path

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        timeline, top = self.presentation, self.presentation.top_rendition
        longer = f"{_LONGER_SIDE_PX}:-2" if top.width >= top.height else f"-2:{_LONGER_SIDE_PX}"
        chains = [
            f"[0:{timeline.video.index}]{video_filters.grid_filters(timeline, self.time, 1)}[grid]",
            *video_filters.scale_chains(timeline, [top]),
            f"[{top.name}]signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-,scale={longer}[jpeg]",
        ]
        return [
            *LOG_ERRORS, "-copyts", *guarded_input(self.source, "-an", *video_filters.seek_options(timeline,
            self.time)),
            "-filter_complex", ";".join(chains), "-map", "[jpeg]", *NO_METADATA,
            "-frames:v", "1", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "3", "-f", "image2", "-update", "1",
            THUMBNAIL_FILE,
        ]  # fmt: skip


_DEFAULT_TIME_S = Fraction(1)  # seconds
_FALLBACK_SHARES = (Fraction(1, 10), Fraction(1, 4), Fraction(1, 2))  # of the film
_MIN_LUMA = 32.0  # mean luma; 16 is black

_LUMA_PATTERN = re.compile(r"YAVG=([\d.]+)")


class ThumbnailResult(TypedDict):
    """What the thumbnail task reports."""

    at: float  # position of the picture in the video, in seconds


def make_thumbnail(context: TaskContext, progress_sink: ProgressSink) -> ThumbnailResult:
    """Returns `at`, the film time in seconds."""
    timeline, source = context.presentation, working_source(context)
    at, brightest = Fraction(0), -1.0
    for moment in candidate_times(timeline):
        plan = ThumbnailPlan(timeline, moment, source)
        luma = _parse_luma(
            FfmpegProcess(
                [context.binaries.ffmpeg, *plan.argv()],
                context.scratch_dir,
                encode.BATCH_LIMITS,
                progress_sink.is_stop_requested,
            )()
        )
        if luma > brightest:
            at, brightest = moment, luma
            (context.scratch_dir / THUMBNAIL_FILE).replace(context.scratch_dir / _BRIGHTEST_FILE)
        if brightest >= _MIN_LUMA:
            break
    place = paths.thumbnail_path(context.media_root, context.video_id)
    paths.publish(context.scratch_dir / _BRIGHTEST_FILE, place)
    paths.fsync_path(place.parent)
    return {"at": float(at)}


_BRIGHTEST_FILE = Path("brightest.jpg")


def candidate_times(presentation: Presentation) -> list[Fraction]:
    """Film times of frames to look at, the preferred one first."""
    duration, fps = presentation.grid.duration, presentation.grid.fps
    first = _DEFAULT_TIME_S if duration > _DEFAULT_TIME_S else duration / 2
    return [math.floor(moment * fps) / fps for moment in (first, *(share * duration for share in _FALLBACK_SHARES))]


def _parse_luma(output: str) -> float:
    found = _LUMA_PATTERN.search(output)
    if found is None:
        raise MediaError("No picture could be taken from this film.")
    return float(found[1])
