"""The loudness task: measure the loudness of a video if the audio task could not."""

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
    """Writes no file; ffmpeg prints the loudness at the end."""

    presentation: Presentation
    source: Path

    def argv(self) -> list[str]:
        """Return the arguments of ffmpeg."""
        return [
            *LOG_INFO, *PROGRESS_OPTIONS, "-copyts", *guarded_input(self.source, "-vn", "-sn", "-dn"),
            *audio_filters.clock_filters(self.presentation, self.presentation.audio[0], audio_filters.LOUDNESS_FILTER),
            "-f", "null", "-",
        ]  # fmt: skip


class LoudnessResult(TypedDict):
    """Result of the loudness task."""

    loudness: float | None  # integrated, in LUFS (EBU R 128); None for silence


def measure_loudness(context: TaskContext, progress_sink: ProgressSink) -> LoudnessResult:
    """Measure the loudness of the first audio track."""
    duration = context.presentation.duration
    plan = LoudnessPlan(context.presentation, working_source(context))
    limits, progress = encode.whole_video_limits(duration), encode.progress_with_keepalive(duration, progress_sink)
    process = encode.run_ffmpeg(context, progress_sink, plan.argv(), limits, progress)
    return {"loudness": parse_loudness(process.stderr_tail)}
