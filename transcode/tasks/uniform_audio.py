"""What to do about sound that changes its form on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from transcode.ffmpeg import audio_filters
from transcode.ffmpeg.downmix import to_stereo
from transcode.ffmpeg.inputs import LOG_ERRORS, NO_METADATA, PROGRESS_OPTIONS, guarded_input
from transcode.ffmpeg.process import GIB
from transcode.presentation import Presentation
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.working_copy import working_source

UNIFORM_AUDIO_FILE = "sound.mka"


@dataclass(frozen=True, slots=True)
class UniformAudioPlan:
    """Writes `STEADY`: all sound tracks in their order, uncompressed, on the source's clock."""

    presentation: Presentation
    source: Path

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        return [
            *LOG_ERRORS, *PROGRESS_OPTIONS, "-copyts", *guarded_input(self.source, "-vn", "-sn", "-dn"),
            *self._streams(),
            "-c:a", "pcm_f32le", *NO_METADATA, "-avoid_negative_ts", "disabled",
            "-f", "matroska", UNIFORM_AUDIO_FILE,
        ]  # fmt: skip

    def _streams(self) -> list[str]:
        """Return the options of every stream: the two sides of a track stay two streams."""
        options = []
        for place, (index, mix) in enumerate(self.stream_filters()):
            options += [
                "-map",
                f"0:{index}",
                f"-filter:{place}",
                f"{audio_filters.FLOAT},aresample={audio_filters.SAMPLE_RATE_HZ},{mix}",
            ]  # counts nothing
        return options

    def stream_filters(self) -> list[tuple[int, str]]:
        """Return the index of every stream in the source, in their order, and the filter that mixes it."""
        return [
            (index, to_stereo(track) if track.right_index is None else audio_filters.MONO)
            for track in self.presentation.audio
            for index in track.indexes
        ]

    def uniform_presentation(self) -> Presentation:
        """Return the timeline for what is written: the tracks where they are in it."""
        places = {index: place for place, (index, _) in enumerate(self.stream_filters())}
        tracks = []
        for track in self.presentation.audio:
            index, *right = (places[index] for index in track.indexes)
            # The number of channels stays, for it tells how much the limiter must leave.
            tracks.append(replace(track, index=index, right_index=right[0] if right else None, layout="stereo"))
        return replace(self.presentation, audio=tuple(tracks))


_SAMPLE_BYTES = 8  # bytes, of two channels


class AudioFormatChanged(Exception):
    """The sound changes its form on the way; what was made before that is right."""


def require_uniform_format(stderr: str) -> None:
    """Raise Changed when ffmpeg says that sound began anew; it spells it in two ways."""
    if "Non-monoton" in stderr:
        raise AudioFormatChanged


def make_uniform_audio(context: TaskContext, progress_sink: ProgressSink) -> tuple[Path, Presentation]:
    """All sound tracks in one form, as a file of this attempt, and the timeline that says where they are in it."""
    known = context.presentation
    streams = sum(len(track.indexes) for track in known.audio)
    size = int(known.duration * audio_filters.SAMPLE_RATE_HZ * _SAMPLE_BYTES * streams)
    encode.require_free_space(context, size)
    plan = UniformAudioPlan(known, working_source(context))
    limits = replace(encode.whole_video_limits(known.duration * len(known.audio)), file_size=size + GIB)
    encode.run_ffmpeg(context, progress_sink, plan.argv(), limits, encode.progress_by_time(known.duration))
    return context.scratch_dir / UNIFORM_AUDIO_FILE, plan.uniform_presentation()
