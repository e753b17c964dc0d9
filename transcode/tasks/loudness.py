"""The loudness of a film, where it could not be measured while its sound was encoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from transcode.ffmpeg import audio_filters
from transcode.ffmpeg.inputs import LOG_INFO, PROGRESS_OPTIONS, guarded_input
from transcode.presentation import Presentation
from transcode.tasks import encode
from transcode.tasks.audio import parse_loudness
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.working_copy import working_source


@dataclass(frozen=True, slots=True)
class LoudnessPlan:
    """Writes nothing, and reports the loudness at the end."""

    presentation: Presentation
    source: Path

    def argv(self) -> list[str]:
        """Return the arguments of ffmpeg."""
        return [
            *LOG_INFO, *PROGRESS_OPTIONS, "-copyts", *guarded_input(self.source, "-vn", "-sn", "-dn"),
            *audio_filters.clock_filters(self.presentation, self.presentation.audio[0], audio_filters.MEASURE_LOUDNESS),
            "-f", "null", "-",
        ]  # fmt: skip


class LoudnessResult(TypedDict):
    """What the loudness task reports."""

    loudness: float | None  # integrated, in LUFS (EBU R 128); None for silence


def measure_loudness(assignment: TaskContext, monitor: ProgressSink) -> LoudnessResult:
    """Return `loudness`: integrated, in LUFS (EBU R128), None for silence."""
    timeline = assignment.presentation
    plan = LoudnessPlan(timeline, working_source(assignment))
    limits, progress = (
        encode.whole_video_limits(timeline.duration),
        encode.progress_with_keepalive(timeline.duration, monitor),
    )
    done = encode.run_ffmpeg(assignment, monitor, plan.argv(), limits, progress)
    return {"loudness": parse_loudness(done.stderr_tail)}
