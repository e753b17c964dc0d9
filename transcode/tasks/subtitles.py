"""The text subtitles of a film, in pieces of WebVTT on the film's clock."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from transcode import paths
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


@dataclass(frozen=True, slots=True)
class SubtitlesPlan:
    """Writes `<N>.vtt` for every track, N from 1, on the source's clock."""

    presentation: Presentation
    source: Path

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        return [
            # Words that are no UTF-8 come out as they are, rather than not at all.
            *LOG_ERRORS, *PROGRESS_OPTIONS, "-copyts", *guarded_input(self.source, "-vn", "-an", "-dn",
            "-sub_charenc_mode", "ignore"),
            *(
                option
                for number, track in enumerate(self.presentation.subtitles, 1)
                for option in (
                    "-map", f"0:{track.index}", "-c:s", "webvtt", *NO_METADATA,
                    "-avoid_negative_ts", "disabled", "-f", "webvtt", f"{number}.vtt",
                )
            ),
        ]  # fmt: skip


_VIDEO_SEGMENTS_PER_PIECE = 15  # of the picture in one piece: a minute, for words are few
_LIMITS = replace(encode.BATCH_LIMITS, file_size=16 * 1024**2)


class SubtitlesResult(TypedDict):
    """What the subtitle task reports."""

    tracks: list[int]  # numbers of the published subtitles: those that contain any text


def extract_subtitles(context: TaskContext, progress_sink: ProgressSink) -> SubtitlesResult:
    """Returns `tracks`, the numbers of those that hold any words."""
    timeline = context.presentation
    plan = SubtitlesPlan(timeline, working_source(context))
    encode.run_ffmpeg(
        context, progress_sink, plan.argv(), _LIMITS, encode.progress_with_keepalive(timeline.duration, progress_sink)
    )
    spoken = []
    for number in range(1, len(timeline.subtitles) + 1):
        text = webvtt.decode((context.scratch_dir / f"{number}.vtt").read_bytes())
        cues = [cue.shifted(-round(timeline.origin * 1000)) for cue in webvtt.parse(text)]
        if cues:
            _publish(context, progress_sink, paths.subtitle_folder_name(number), cues)
            spoken.append(number)
    publish_master(context)
    return {"tracks": spoken}


def _publish(context: TaskContext, progress_sink: ProgressSink, folder_name: str, cues: list[Cue]) -> None:
    """The pieces, each a sign of life, then the playlist: what is listed is there."""
    grid = context.presentation.grid
    place = paths.track_dir(context.media_root, context.video_id, folder_name)
    place.mkdir(exist_ok=True)
    borders = _boundaries(grid)
    lengths = [grid.segment_start(after) - grid.segment_start(first) for first, after in itertools.pairwise(borders)]
    for number, text in enumerate(webvtt.split_cues(cues, lengths, muxing.CLOCK_START_S)):
        paths.publish_text(context.scratch_dir, place / paths.subtitle_segment_name(number), text)
        progress_sink.report_parts(number + 1)
    text = playlists.track_playlist(lengths, grid.target_duration, paths.subtitle_segment_name)
    paths.publish_text(context.scratch_dir, place / paths.MEDIA_PLAYLIST, text)
    paths.fsync_path(place)


def _boundaries(grid: Grid) -> list[int]:
    return [*range(0, grid.segment_count, _VIDEO_SEGMENTS_PER_PIECE), grid.segment_count]
