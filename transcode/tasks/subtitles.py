"""The text subtitles of a film, in pieces of WebVTT on the film's clock."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from transcode import layout
from transcode.grid import Grid
from transcode.hls import playlists, webvtt
from transcode.hls.webvtt import Cue
from transcode.plans import muxing
from transcode.plans.subtitles import SubtitlesPlan
from transcode.tasks import ffmpeg
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.master import publish_master
from transcode.tasks.origin import working_source

_SEGMENTS = 15  # of the picture in one piece: a minute, for words are few
_LIMITS = replace(ffmpeg.BULK, file_size=16 * 1024**2)


def subtitles(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Returns `tracks`, the numbers of those that hold any words."""
    timeline = assignment.known
    plan = SubtitlesPlan(timeline, working_source(assignment))
    ffmpeg.run(assignment, monitor, plan.argv(), _LIMITS, ffmpeg.of_reading(timeline.duration, monitor))
    spoken = []
    for number in range(1, len(timeline.subtitles) + 1):
        text = webvtt.decoded((assignment.scratch / f"{number}.vtt").read_bytes())
        cues = [cue.moved(-round(timeline.origin * 1000)) for cue in webvtt.parse(text)]
        if cues:
            _publish(assignment, monitor, layout.subtitle_track(number), cues)
            spoken.append(number)
    publish_master(assignment)
    return {"tracks": spoken}


def _publish(assignment: Assignment, monitor: Monitor, track: str, cues: list[Cue]) -> None:
    """The pieces, each a sign of life, then the playlist: what is listed is there."""
    grid = assignment.known.grid
    place = layout.track_dir(assignment.root, assignment.film, track)
    place.mkdir(exist_ok=True)
    borders = _borders(grid)
    lengths = [grid.start(after) - grid.start(first) for first, after in itertools.pairwise(borders)]
    for number, text in enumerate(webvtt.pieces(cues, lengths, muxing.CLOCK_START)):
        layout.publish_text(assignment.scratch, place / layout.words_name(number), text)
        monitor.parts(number + 1)
    text = playlists.track_playlist(lengths, grid.target, layout.words_name)
    layout.publish_text(assignment.scratch, place / layout.MEDIA_PLAYLIST, text)
    layout.to_disk(place)


def _borders(grid: Grid) -> list[int]:
    return [*range(0, grid.segments, _SEGMENTS), grid.segments]
