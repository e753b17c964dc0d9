"""The sound of a whole film, encoded once and published piece by piece, so that chunks can begin early."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NotRequired, TypedDict

from transcode import paths
from transcode.errors import MediaError, NeedsMemory, ProcessFailed
from transcode.ffmpeg import audio_filters
from transcode.ffmpeg.inputs import LOG_INFO, NO_METADATA, PROGRESS_OPTIONS, guarded_input
from transcode.grid import MPEG_CLOCK_HZ
from transcode.presentation import Presentation
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.uniform_audio import AudioFormatChanged, make_uniform_audio, require_uniform_format
from transcode.tasks.working_copy import working_source


@dataclass(frozen=True, slots=True)
class AudioPlan:
    """Writes `NNNN.ts`, one per chunk: each is complete when the next one is begun.

    Reports the loudness at the end if it is `measured`.
    """

    presentation: Presentation
    source: Path
    measure_loudness: bool = True

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        track = self.presentation.audio[0]
        filters = (
            *((audio_filters.MEASURE_LOUDNESS,) if self.measure_loudness else ()),
            f"asetpts=PTS+{audio_filters.AAC_FRAME_SAMPLES}",
        )
        return [
            *LOG_INFO, *PROGRESS_OPTIONS, "-copyts",
            *guarded_input(self.source, "-vn", "-sn", "-dn"), *audio_filters.clock_filters(self.presentation, track,
            *filters),
            *audio_filters.ENCODER_OPTIONS, *NO_METADATA,
            "-f", "segment", *self._cut_options(), "-segment_format", "mpegts",
            "-segment_format_options", "mpegts_copyts=1", "-reset_timestamps", "0",
            "%04d.ts",
        ]  # fmt: skip

    def _cut_options(self) -> list[str]:
        grid = self.presentation.grid
        if grid.chunk_count == 1:
            return ["-segment_time", "100000000"]
        return [
            "-segment_times",
            ",".join(_format_cut_time(grid.cut_tick(grid.chunk_segments(i)[0])) for i in range(1, grid.chunk_count)),
        ]


def _format_cut_time(tick: int) -> str:
    """A cut on the clock of the files, which is 0 at their first packet; microseconds, rounded down.

    Before ffmpeg 6 the segment muxer counts from 0, later ones from the first packet: here that is the same.
    """
    ticks = tick + audio_filters.AAC_FRAME_SAMPLES * MPEG_CLOCK_HZ // audio_filters.SAMPLE_RATE_HZ
    microseconds = ticks * 1_000_000 // MPEG_CLOCK_HZ
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"


_INTEGRATED_LOUDNESS = re.compile(r"\bI:\s*(-?\d+(?:\.\d+)?) LUFS")


class AudioResult(TypedDict):
    """What the audio task reports."""

    loudness: float | None  # integrated, in LUFS (EBU R 128); None for silence, or when it could not be measured
    unmeasured: NotRequired[bool]  # True if the measurement failed


def encode_audio(context: TaskContext, progress_sink: ProgressSink) -> AudioResult:
    """Returns `loudness`: integrated, in LUFS (EBU R128), None for silence.

    A film needs its sound and not its loudness: what fails with the measurement is encoded without it, and the result
    says that it is `unmeasured`.
    """
    paths.chunk_audio_dir(context.media_root, context.video_id).mkdir(parents=True, exist_ok=True)
    plan = AudioPlan(context.presentation, working_source(context))
    try:
        words = _encode_any(context, progress_sink, plan)
    except (ProcessFailed, NeedsMemory):
        _clear(context)
        _encode_any(context, progress_sink, replace(plan, measure_loudness=False))
        return {"loudness": None, "unmeasured": True}
    return {"loudness": parse_loudness(words)}


def _encode_any(assignment: TaskContext, monitor: ProgressSink, plan: AudioPlan) -> str:
    """Encode sound that may change its form on the way; return what ffmpeg said."""
    try:
        return _encode(assignment, monitor, plan)
    except AudioFormatChanged:
        _clear(assignment)
        source, timeline = make_uniform_audio(assignment, monitor)
        return _encode(assignment, monitor, replace(plan, presentation=timeline, source=source))


def _clear(assignment: TaskContext) -> None:
    """Remove the pieces of a run that is begun anew, or they would be taken for complete ones."""
    for made in assignment.scratch_dir.glob("*.ts"):
        made.unlink()


def _encode(context: TaskContext, progress_sink: ProgressSink, plan: AudioPlan) -> str:
    """Returns what ffmpeg said. Raises Changed; what is published by then is right."""
    pieces = _AudioPublisher(context, progress_sink, plan.presentation.grid.chunk_count)
    seconds = encode.progress_by_time(plan.presentation.duration)

    def progress(block: Mapping[str, str]) -> float:
        pieces.publish_complete()
        return seconds(block)

    limits = encode.whole_video_limits(plan.presentation.duration)
    done = encode.run_ffmpeg(context, progress_sink, plan.argv(), limits, progress, require_uniform_format)
    require_uniform_format(done.stderr_tail)
    pieces.publish_rest()
    return done.stderr_tail


class _AudioPublisher:
    """Moves files of sound into place as they become complete."""

    def __init__(self, context: TaskContext, progress_sink: ProgressSink, count: int) -> None:
        self._context = context
        self._progress_sink = progress_sink
        self._count = count
        self._published = 0

    def publish_complete(self) -> None:
        """A file is complete when ffmpeg has begun the next one."""
        while self._published + 1 < self._count and self._encoded_path(self._published + 1).exists():
            self._publish()

    def publish_rest(self) -> None:
        """ffmpeg has ended. Raises MediaError when files are missing."""
        while self._published < self._count:
            if not self._encoded_path(self._published).exists():
                raise MediaError(f"The sound ends after {self._published} of {self._count} parts.")
            self._publish()
        paths.fsync_path(paths.chunk_audio_dir(self._context.media_root, self._context.video_id))

    def _publish(self) -> None:
        place = paths.chunk_audio_path(self._context.media_root, self._context.video_id, self._published)
        paths.publish(self._encoded_path(self._published), place)
        self._published += 1
        self._progress_sink.report_parts(self._published)

    def _encoded_path(self, index: int) -> Path:
        return self._context.scratch_dir / paths.segment_name(index)


def parse_loudness(stderr: str) -> float | None:
    """From the summary that ffmpeg's ebur128 filter prints at its end; below the gate (-70) it is silence."""
    found = _INTEGRATED_LOUDNESS.findall(stderr)
    return float(found[-1]) if found and float(found[-1]) > -70 else None
