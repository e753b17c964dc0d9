"""The other sound tracks of a film, published as a group that players choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TypedDict

from transcode import paths
from transcode.errors import MediaError, ProcessFailed
from transcode.ffmpeg import audio_filters, muxing
from transcode.ffmpeg.inputs import LOG_WARNINGS, PROGRESS_OPTIONS, format_seconds, guarded_input
from transcode.hls import playlists
from transcode.paths import MEDIA_PLAYLIST, audio_folder_name
from transcode.presentation import Presentation
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.master import publish_master
from transcode.tasks.uniform_audio import AudioFormatChanged, make_uniform_audio, require_uniform_format
from transcode.tasks.working_copy import working_source


@dataclass(frozen=True, slots=True)
class AlternateAudioPlan:
    """Writes `audio<N>/NNNN.ts` for these tracks, and a playlist beside them."""

    presentation: Presentation
    source: Path
    numbers: Sequence[int]

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        return [
            *LOG_WARNINGS, *PROGRESS_OPTIONS, "-copyts", *guarded_input(self.source, "-vn", "-sn", "-dn"),
            *(option for number in self.numbers for option in self._output_options(number)),
        ]  # fmt: skip

    def _output_options(self, number: int) -> list[str]:
        grid, folder = self.presentation.grid, audio_folder_name(number)
        return [
            *audio_filters.clock_filters(self.presentation, self.presentation.audio[number]),
            *audio_filters.ENCODER_OPTIONS, *muxing.TIMESTAMP_OPTIONS,
            "-f", "hls", "-hls_time", format_seconds(grid.gop / grid.fps), "-hls_list_size", "0",
            "-hls_segment_filename", f"{folder}/%04d.ts", f"{folder}/{MEDIA_PLAYLIST}",
        ]  # fmt: skip


_AAC_FRAME_S = Fraction(audio_filters.AAC_FRAME_SAMPLES, audio_filters.SAMPLE_RATE_HZ)


class AlternateAudioResult(TypedDict):
    """What the task for alternate audio reports."""

    tracks: list[int]  # numbers of the published tracks


def encode_alternate_audio(context: TaskContext, progress_sink: ProgressSink) -> AlternateAudioResult:
    """Returns `tracks`, the numbers of those that could be made. Raises MediaError when there is none."""
    numbers = list(range(1, len(context.presentation.audio)))
    for number in numbers:
        (context.scratch_dir / paths.audio_folder_name(number)).mkdir()
    plan = AlternateAudioPlan(context.presentation, working_source(context), numbers)
    try:
        _encode(context, progress_sink, plan)
    except ProcessFailed:
        if len(numbers) == 1:
            raise
        numbers = _encode_one_by_one(context, progress_sink, plan)
    for number in numbers:
        _publish(context, progress_sink, paths.audio_folder_name(number))
    publish_master(context)
    return {"tracks": numbers}


def _encode_one_by_one(assignment: TaskContext, monitor: ProgressSink, plan: AlternateAudioPlan) -> list[int]:
    """Return the numbers of the tracks that can be encoded, when one of them keeps all others from it."""
    made, failure = [], ProcessFailed()
    for number in plan.numbers:
        try:
            _encode(assignment, monitor, replace(plan, numbers=[number]))
            made.append(number)
        except ProcessFailed as error:
            failure = error
    if not made:
        raise failure
    return made


def _encode(context: TaskContext, progress_sink: ProgressSink, plan: AlternateAudioPlan) -> None:
    try:
        _run(context, progress_sink, plan)
    except AudioFormatChanged:
        source, timeline = make_uniform_audio(context, progress_sink)
        _run(context, progress_sink, replace(plan, presentation=timeline, source=source))


def _run(assignment: TaskContext, monitor: ProgressSink, plan: AlternateAudioPlan) -> None:
    """Raises Changed."""
    progress = encode.progress_with_keepalive(plan.presentation.duration, monitor)
    limits = encode.whole_video_limits(plan.presentation.duration * (len(plan.presentation.audio) - 1))
    done = encode.run_ffmpeg(assignment, monitor, plan.argv(), limits, progress, require_uniform_format)
    require_uniform_format(done.stderr_tail)


def _publish(context: TaskContext, progress_sink: ProgressSink, folder_name: str) -> None:
    """The pieces, then the playlist: what is listed is there. Raises MediaError when sound is missing.

    Each piece is a sign of life: to have thousands of them on a slow disk takes minutes.
    """
    made, grid = context.scratch_dir / folder_name, context.presentation.grid
    pieces = playlists.parse_segments((made / paths.MEDIA_PLAYLIST).read_text())
    if abs(sum(pieces.values()) - grid.duration) > 3 * _AAC_FRAME_S:
        described = f"{float(sum(pieces.values())):.3f} of {float(grid.duration):.3f} seconds"
        raise MediaError("A sound track is not as long as the film.", stderr_tail=described)
    place = paths.track_dir(context.media_root, context.video_id, folder_name)
    place.mkdir(exist_ok=True)
    for count, name in enumerate(pieces, 1):
        paths.publish(made / name, place / name)
        progress_sink.report_parts(count)
    text = playlists.track_playlist(list(pieces.values()), grid.target_duration, paths.segment_name)
    paths.publish_text(context.scratch_dir, place / paths.MEDIA_PLAYLIST, text)
    paths.fsync_path(place)
