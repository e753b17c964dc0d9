"""The subtitle task: convert text subtitles to segmented WebVTT on the video's clock."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from transcode import paths, publishing
from transcode.ffmpeg import muxing
from transcode.ffmpeg.inputs import LOG_ERRORS, NO_METADATA, PROGRESS_OPTIONS, guarded_input
from transcode.grid import Grid
from transcode.hls import playlists, webvtt
from transcode.hls.webvtt import Cue
from transcode.presentation import Presentation
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.master import publish_master
from transcode.tasks.working_copy import working_source

_VIDEO_SEGMENTS_PER_SUBTITLE_SEGMENT = 15  # about a minute, as there is little text
_LIMITS = replace(encode.BATCH_LIMITS, file_size=16 * 1024**2)


@dataclass(frozen=True, slots=True)
class SubtitlesPlan:
    """Writes `<N>.vtt` for each track, numbered from 1, on the source's clock."""

    presentation: Presentation
    source: Path

    def argv(self) -> list[str]:
        """Return the arguments of ffmpeg."""
        return [
            *LOG_ERRORS, *PROGRESS_OPTIONS, "-copyts",
            # Pass text that is not UTF-8 through unchanged instead of dropping it.
            *guarded_input(self.source, "-vn", "-an", "-dn", "-sub_charenc_mode", "ignore"),
            *(
                option
                for number, track in enumerate(self.presentation.subtitles, 1)
                for option in (
                    "-map", f"0:{track.index}", "-c:s", "webvtt", *NO_METADATA,
                    "-avoid_negative_ts", "disabled", "-f", "webvtt", f"{number}.vtt",
                )
            ),
        ]  # fmt: skip


class SubtitlesResult(TypedDict):
    """Result of the subtitle task."""

    tracks: list[int]  # numbers of the published subtitles: those that contain any text


def extract_subtitles(context: TaskContext, progress_sink: ProgressSink) -> SubtitlesResult:
    """Convert and publish all subtitles that contain any text."""
    presentation = context.presentation
    plan = SubtitlesPlan(presentation, working_source(context))
    progress = encode.progress_with_keepalive(presentation.duration, progress_sink)
    encode.run_ffmpeg(context, progress_sink, plan.argv(), _LIMITS, progress)
    published = []
    for number in range(1, len(presentation.subtitles) + 1):
        text = webvtt.decode((context.scratch_dir / f"{number}.vtt").read_bytes())
        cues = [cue.shifted(-round(presentation.origin * 1000)) for cue in webvtt.parse(text)]
        if cues:
            _publish(context, progress_sink, paths.subtitle_folder_name(number), cues)
            published.append(number)
    publish_master(context)
    return {"tracks": published}


def _publish(context: TaskContext, progress_sink: ProgressSink, folder_name: str, cues: list[Cue]) -> None:
    """Publish a track: the segments, each of which counts as progress, then the playlist that lists them."""
    grid = context.presentation.grid
    folder = paths.track_dir(context.media_root, context.video_id, folder_name)
    folder.mkdir(exist_ok=True)
    starts = [grid.segment_start(number) for number in _boundaries(grid)]
    durations = [end - start for start, end in itertools.pairwise(starts)]
    for number, text in enumerate(webvtt.split_cues(cues, durations, muxing.CLOCK_START_S)):
        publishing.publish_text(context.scratch_dir, folder / paths.subtitle_segment_name(number), text)
        progress_sink.report_parts(number + 1)
    playlist = playlists.track_playlist(durations, grid.target_duration, paths.subtitle_segment_name)
    publishing.publish_text(context.scratch_dir, folder / paths.MEDIA_PLAYLIST, playlist)
    publishing.fsync_path(folder)


def _boundaries(grid: Grid) -> list[int]:
    """Return the numbers of the video segments at which subtitle segments begin, and the number of all of them."""
    return [*range(0, grid.segment_count, _VIDEO_SEGMENTS_PER_SUBTITLE_SEGMENT), grid.segment_count]
