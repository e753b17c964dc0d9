"""Audio whose format changes midway (sample rate, channels): detect it, and convert it to one format first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from transcode.ffmpeg import audio_filters
from transcode.ffmpeg.downmix import stereo_downmix_filter
from transcode.ffmpeg.inputs import LOG_ERRORS, NO_METADATA, PROGRESS_OPTIONS, guarded_input
from transcode.ffmpeg.process import GIB
from transcode.presentation import Presentation
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.working_copy import working_source

UNIFORM_AUDIO_FILE = "sound.mka"

_SAMPLE_BYTES = 8  # two channels of 32-bit floats


@dataclass(frozen=True, slots=True)
class UniformAudioPlan:
    """Writes `UNIFORM_AUDIO_FILE`: all audio tracks in order, uncompressed, on the source's clock."""

    presentation: Presentation
    source: Path

    def argv(self) -> list[str]:
        """Return the arguments of ffmpeg."""
        return [
            *LOG_ERRORS, *PROGRESS_OPTIONS, "-copyts", *guarded_input(self.source, "-vn", "-sn", "-dn"),
            *self._stream_options(),
            "-c:a", "pcm_f32le", *NO_METADATA, "-avoid_negative_ts", "disabled",
            "-f", "matroska", UNIFORM_AUDIO_FILE,
        ]  # fmt: skip

    def _stream_options(self) -> list[str]:
        """Return the options of every stream. Left and right stay separate if they are separate in the source.

        The resampler only converts: it neither inserts nor drops samples to follow timestamps.
        """
        options = []
        for number, (index, mix) in enumerate(self.stream_filters()):
            filters = f"{audio_filters.FLOAT_FILTER},aresample={audio_filters.SAMPLE_RATE_HZ},{mix}"
            options += ["-map", f"0:{index}", f"-filter:{number}", filters]
        return options

    def stream_filters(self) -> list[tuple[int, str]]:
        """Return the source index and the downmix filter of every stream, in order."""
        return [
            (index, stereo_downmix_filter(track) if track.right_index is None else audio_filters.MONO_FILTER)
            for track in self.presentation.audio
            for index in track.indexes
        ]

    def uniform_presentation(self) -> Presentation:
        """Return the presentation with the tracks' indexes in the written file."""
        numbers = {index: number for number, (index, _) in enumerate(self.stream_filters())}
        tracks = []
        for track in self.presentation.audio:
            index, *right = (numbers[source_index] for source_index in track.indexes)
            # Keep the number of channels: it determines the headroom of the limiter.
            tracks.append(replace(track, index=index, right_index=right[0] if right else None, layout="stereo"))
        return replace(self.presentation, audio=tuple(tracks))


class AudioFormatChanged(Exception):
    """The format of the audio changes midway. Everything encoded before the change is correct."""


def require_uniform_format(stderr: str) -> None:
    """Raise AudioFormatChanged if ffmpeg reports timestamps that restart ("non-monoton...": spelled in two ways)."""
    if "Non-monoton" in stderr:
        raise AudioFormatChanged


def make_uniform_audio(context: TaskContext, progress_sink: ProgressSink) -> tuple[Path, Presentation]:
    """Convert all audio tracks to one format, in a file of this attempt.

    Return the file and the presentation with the tracks' indexes in it. Raise OutputTooLarge if the disk has no room.
    """
    presentation = context.presentation
    duration, tracks = presentation.duration, presentation.audio
    stream_count = sum(len(track.indexes) for track in tracks)
    size = int(duration * audio_filters.SAMPLE_RATE_HZ * _SAMPLE_BYTES * stream_count)
    encode.require_free_space(context, size)
    plan = UniformAudioPlan(presentation, working_source(context))
    limits = replace(encode.whole_video_limits(duration * len(tracks)), file_size=size + GIB)
    encode.run_ffmpeg(context, progress_sink, plan.argv(), limits, encode.progress_by_time(duration))
    return context.scratch_dir / UNIFORM_AUDIO_FILE, plan.uniform_presentation()
