"""The picture that stands for the film: one second into it, or a brighter one when that is black."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from transcode import layout
from transcode.errors import MediaError
from transcode.plans.thumbnail import THUMBNAIL, ThumbnailPlan
from transcode.runner import Run
from transcode.tasks import ffmpeg
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.origin import working_source
from transcode.timeline import Timeline

_USUAL = Fraction(1)  # seconds
_OTHERS = (Fraction(1, 10), Fraction(1, 4), Fraction(1, 2))  # of the film
_DARK = 32.0  # mean luma; 16 is black

_LUMA = re.compile(r"YAVG=([\d.]+)")


def thumbnail(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Returns `at`, the film time in seconds."""
    timeline, source = assignment.known, working_source(assignment)
    at, brightest = Fraction(0), -1.0
    for moment in moments(timeline):
        plan = ThumbnailPlan(timeline, moment, source)
        luma = _luma(Run([assignment.tools.ffmpeg, *plan.argv()], assignment.scratch, ffmpeg.BULK, monitor.stopped)())
        if luma > brightest:
            at, brightest = moment, luma
            (assignment.scratch / THUMBNAIL).replace(assignment.scratch / _BEST)
        if brightest >= _DARK:
            break
    place = layout.thumbnail_path(assignment.root, assignment.film)
    layout.publish(assignment.scratch / _BEST, place)
    layout.to_disk(place.parent)
    return {"at": float(at)}


_BEST = Path("brightest.jpg")


def moments(timeline: Timeline) -> list[Fraction]:
    """Film times of frames to look at, the preferred one first."""
    duration, fps = timeline.grid.duration, timeline.grid.fps
    first = _USUAL if duration > _USUAL else duration / 2
    return [math.floor(moment * fps) / fps for moment in (first, *(share * duration for share in _OTHERS))]


def _luma(printed: str) -> float:
    found = _LUMA.search(printed)
    if found is None:
        raise MediaError("No picture could be taken from this film.")
    return float(found[1])
