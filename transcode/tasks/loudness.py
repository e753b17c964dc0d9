"""The loudness of a film, where it could not be measured while its sound was encoded."""

from __future__ import annotations

from typing import Any

from transcode.plans.loudness import LoudnessPlan
from transcode.tasks import ffmpeg
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.audio import loudness
from transcode.tasks.origin import working_source


def measure_loudness(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Return `loudness`: integrated, in LUFS (EBU R128), None for silence."""
    timeline = assignment.known
    plan = LoudnessPlan(timeline, working_source(assignment))
    limits, progress = ffmpeg.whole_film(timeline.duration), ffmpeg.of_reading(timeline.duration, monitor)
    done = ffmpeg.run(assignment, monitor, plan.argv(), limits, progress)
    return {"loudness": loudness(done.last_words)}
