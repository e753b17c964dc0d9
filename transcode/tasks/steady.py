"""What to do about sound that changes its form on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from transcode.plans import sound
from transcode.plans.steady import STEADY, SteadyPlan
from transcode.runner import GIB
from transcode.tasks import ffmpeg
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.origin import working_source
from transcode.timeline import Timeline

_SAMPLE = 8  # bytes, of two channels


class Changed(Exception):
    """The sound changes its form on the way; what was made before that is right."""


def require_one_form(words: str) -> None:
    """Raise Changed when ffmpeg says that sound began anew; it spells it in two ways."""
    if "Non-monoton" in words:
        raise Changed


def steady(assignment: Assignment, monitor: Monitor) -> tuple[Path, Timeline]:
    """All sound tracks in one form, as a file of this attempt, and the timeline that says where they are in it."""
    known = assignment.known
    streams = sum(len(track.indexes) for track in known.audio)
    size = int(known.duration * sound.RATE * _SAMPLE * streams)
    ffmpeg.require_room(assignment, size)
    plan = SteadyPlan(known, working_source(assignment))
    limits = replace(ffmpeg.whole_film(known.duration * len(known.audio)), file_size=size + GIB)
    ffmpeg.run(assignment, monitor, plan.argv(), limits, ffmpeg.of_seconds(known.duration))
    return assignment.scratch / STEADY, plan.steady_timeline()
