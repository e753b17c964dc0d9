"""The audio task: encode the audio of a whole video in one run, published chunk by chunk so that chunks start early."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NotRequired, TypedDict

from transcode import paths, publishing
from transcode.errors import MediaError, OutOfMemory, ProcessFailed
from transcode.ffmpeg import audio_filters
from transcode.ffmpeg.inputs import LOG_INFO, NO_METADATA, PROGRESS_OPTIONS, guarded_input
from transcode.grid import MPEG_CLOCK_HZ
from transcode.presentation import Presentation
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.uniform_audio import AudioFormatChanged, make_uniform_audio, require_uniform_format
from transcode.tasks.working_copy import working_source

_INTEGRATED_LOUDNESS = re.compile(r"\bI:\s*(-?\d+(?:\.\d+)?) LUFS")
_ABSOLUTE_GATE_LUFS = -70.0


@dataclass(frozen=True, slots=True)
class AudioPlan:
    """Writes `NNNN.ts` for each chunk; a file is complete when the next one exists.

    With `measure_loudness`, ffmpeg prints the loudness at the end.
    """

    presentation: Presentation
    source: Path
    measure_loudness: bool = True

    def argv(self) -> list[str]:
        """Return the arguments of ffmpeg."""
        track = self.presentation.audio[0]
        filters = (
            *((audio_filters.LOUDNESS_FILTER,) if self.measure_loudness else ()),
            f"asetpts=PTS+{audio_filters.AAC_FRAME_SAMPLES}",
        )
        return [
            *LOG_INFO, *PROGRESS_OPTIONS, "-copyts",
            *guarded_input(self.source, "-vn", "-sn", "-dn"),
            *audio_filters.clock_filters(self.presentation, track, *filters),
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
    """Return the time of a cut in seconds, rounded down to microseconds, on the clock that starts at the first packet.

    The segment muxer counts from 0 before ffmpeg 6 and from the first packet since; here both are the same.
    """
    ticks = tick + audio_filters.AAC_FRAME_SAMPLES * MPEG_CLOCK_HZ // audio_filters.SAMPLE_RATE_HZ
    microseconds = ticks * 1_000_000 // MPEG_CLOCK_HZ
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"


class AudioResult(TypedDict):
    """Result of the audio task."""

    loudness: float | None  # integrated, in LUFS (EBU R 128); None for silence, or when it could not be measured
    unmeasured: NotRequired[bool]  # True if the measurement failed


def encode_audio(context: TaskContext, progress_sink: ProgressSink) -> AudioResult:
    """Encode and publish the audio of all chunks, and measure its loudness.

    A video needs its audio but not its loudness: if ffmpeg fails, try once more without the measurement.
    """
    paths.chunk_audio_dir(context.media_root, context.video_id).mkdir(parents=True, exist_ok=True)
    plan = AudioPlan(context.presentation, working_source(context))
    try:
        stderr = _encode_any_format(context, progress_sink, plan)
    except (ProcessFailed, OutOfMemory):
        _remove_chunks(context)
        _encode_any_format(context, progress_sink, replace(plan, measure_loudness=False))
        return {"loudness": None, "unmeasured": True}
    return {"loudness": parse_loudness(stderr)}


def _encode_any_format(context: TaskContext, progress_sink: ProgressSink, plan: AudioPlan) -> str:
    """Encode audio whose format may change midway. Return the end of ffmpeg's stderr."""
    try:
        return _encode(context, progress_sink, plan)
    except AudioFormatChanged:
        _remove_chunks(context)
        source, presentation = make_uniform_audio(context, progress_sink)
        return _encode(context, progress_sink, replace(plan, presentation=presentation, source=source))


def _remove_chunks(context: TaskContext) -> None:
    """Remove the files of a failed run, which the next run would take for complete ones."""
    for path in context.scratch_dir.glob("*.ts"):
        path.unlink()


def _encode(context: TaskContext, progress_sink: ProgressSink, plan: AudioPlan) -> str:
    """Encode and publish all chunks. Return the end of ffmpeg's stderr.

    Raise AudioFormatChanged if the format changes; the chunks published before that are correct.
    """
    publisher = _AudioPublisher(context, progress_sink, plan.presentation.grid.chunk_count)
    fraction = encode.progress_by_time(plan.presentation.duration)

    def parse_progress(block: Mapping[str, str]) -> float:
        publisher.publish_complete()
        return fraction(block)

    limits = encode.whole_video_limits(plan.presentation.duration)
    process = encode.run_ffmpeg(context, progress_sink, plan.argv(), limits, parse_progress, require_uniform_format)
    require_uniform_format(process.stderr_tail)
    publisher.publish_rest()
    return process.stderr_tail


class _AudioPublisher:
    """Publishes the audio of each chunk as soon as it is complete."""

    def __init__(self, context: TaskContext, progress_sink: ProgressSink, count: int) -> None:
        self._context = context
        self._progress_sink = progress_sink
        self._count = count
        self._published = 0

    def publish_complete(self) -> None:
        """Publish the complete files, which are those whose successor exists."""
        while self._published + 1 < self._count and self._encoded_path(self._published + 1).exists():
            self._publish()

    def publish_rest(self) -> None:
        """Publish all remaining files after ffmpeg has ended. Raise MediaError if some are missing."""
        while self._published < self._count:
            if not self._encoded_path(self._published).exists():
                raise MediaError(f"The audio ends after {self._published} of {self._count} parts.")
            self._publish()
        publishing.fsync_path(paths.chunk_audio_dir(self._context.media_root, self._context.video_id))

    def _publish(self) -> None:
        destination = paths.chunk_audio_path(self._context.media_root, self._context.video_id, self._published)
        publishing.publish(self._encoded_path(self._published), destination)
        self._published += 1
        self._progress_sink.report_parts(self._published)

    def _encoded_path(self, index: int) -> Path:
        return self._context.scratch_dir / paths.segment_name(index)


def parse_loudness(stderr: str) -> float | None:
    """Return the integrated loudness from the summary of ffmpeg's ebur128 filter, in LUFS.

    Return None for silence, which is at or below the absolute gate of -70 LUFS (ITU-R BS.1770).
    """
    values = _INTEGRATED_LOUDNESS.findall(stderr)
    return float(values[-1]) if values and float(values[-1]) > _ABSOLUTE_GATE_LUFS else None
