"""The task for alternate audio: encode all audio tracks but the first, and offer them as a group in the master."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TypedDict

from transcode import paths, publishing
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

_AAC_FRAME_S = Fraction(audio_filters.AAC_FRAME_SAMPLES, audio_filters.SAMPLE_RATE_HZ)


@dataclass(frozen=True, slots=True)
class AlternateAudioPlan:
    """Writes `audio<N>/NNNN.ts` and a media playlist for each of these tracks."""

    presentation: Presentation
    source: Path
    numbers: Sequence[int]

    def argv(self) -> list[str]:
        """Return the arguments of ffmpeg."""
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


class AlternateAudioResult(TypedDict):
    """Result of the task for alternate audio."""

    tracks: list[int]  # numbers of the published tracks


def encode_alternate_audio(context: TaskContext, progress_sink: ProgressSink) -> AlternateAudioResult:
    """Encode and publish the alternate audio tracks. Raise MediaError if none can be encoded."""
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


def _encode_one_by_one(context: TaskContext, progress_sink: ProgressSink, plan: AlternateAudioPlan) -> list[int]:
    """Encode each track in a run of its own, after one track made the common run fail. Return those that succeed."""
    encoded, failure = [], ProcessFailed()
    for number in plan.numbers:
        try:
            _encode(context, progress_sink, replace(plan, numbers=[number]))
            encoded.append(number)
        except ProcessFailed as error:
            failure = error
    if not encoded:
        raise failure
    return encoded


def _encode(context: TaskContext, progress_sink: ProgressSink, plan: AlternateAudioPlan) -> None:
    try:
        _run(context, progress_sink, plan)
    except AudioFormatChanged:
        source, presentation = make_uniform_audio(context, progress_sink)
        _run(context, progress_sink, replace(plan, presentation=presentation, source=source))


def _run(context: TaskContext, progress_sink: ProgressSink, plan: AlternateAudioPlan) -> None:
    """Run the plan. Raise AudioFormatChanged if the format of a track changes midway."""
    progress = encode.progress_with_keepalive(plan.presentation.duration, progress_sink)
    limits = encode.whole_video_limits(plan.presentation.duration * (len(plan.presentation.audio) - 1))
    process = encode.run_ffmpeg(context, progress_sink, plan.argv(), limits, progress, require_uniform_format)
    require_uniform_format(process.stderr_tail)


def _publish(context: TaskContext, progress_sink: ProgressSink, folder_name: str) -> None:
    """Publish a track: the segments, then the playlist, so that every listed file exists.

    Raise MediaError if the track is too short or too long. Every segment counts as progress, because publishing
    thousands of them on a slow disk takes minutes.
    """
    encoded_dir, grid = context.scratch_dir / folder_name, context.presentation.grid
    durations = playlists.parse_segments((encoded_dir / paths.MEDIA_PLAYLIST).read_text())
    total = sum(durations.values())
    if abs(total - grid.duration) > 3 * _AAC_FRAME_S:
        detail = f"{float(total):.3f} of {float(grid.duration):.3f} seconds"
        raise MediaError("An audio track is not as long as the video.", stderr_tail=detail)
    folder = paths.track_dir(context.media_root, context.video_id, folder_name)
    folder.mkdir(exist_ok=True)
    for count, name in enumerate(durations, 1):
        publishing.publish(encoded_dir / name, folder / name)
        progress_sink.report_parts(count)
    text = playlists.track_playlist(list(durations.values()), grid.target_duration, paths.segment_name)
    publishing.publish_text(context.scratch_dir, folder / paths.MEDIA_PLAYLIST, text)
    publishing.fsync_path(folder)
