"""The storyboard: its tiles, sheets and index."""

from __future__ import annotations

from fractions import Fraction

from transcode.grid import Grid
from transcode.hls import webvtt
from transcode.hls.storyboard import Storyboard
from transcode.ladder import build_ladder
from transcode.presentation import AudioTrack, Presentation, VideoTrack

NTSC = Fraction(30000, 1001)


def film(hours: float, fps: Fraction = NTSC, tracks: int = 1) -> Presentation:
    audio = tuple(AudioTrack(number + 1, 2) for number in range(tracks))
    return Presentation(
        Grid(fps, round(hours * 3600 * fps)), build_ladder(1920, 1080, fps), VideoTrack(0, 1920, 1080), audio
    )


def test_a_video_of_hours_has_a_small_storyboard() -> None:
    timeline = film(3)
    board = Storyboard(timeline.grid, timeline.renditions[0])
    assert 500 < len(board.segments) <= 600
    assert (board.columns, board.rows, board.sheet_count) == (10, 10, -(-len(board.segments) // 100))
    cues = webvtt.parse(board.render_index())
    assert len(cues) == len(board.segments)
    assert [cue.end for cue in cues[:-1]] == [cue.start for cue in cues[1:]]
    assert cues[-1].end == round(timeline.grid.duration * 1000)
    assert cues[110].text == "0001.jpg#xywh=0,90,160,90"


def test_a_portrait_storyboard_stands_upright() -> None:
    rendition = build_ladder(1080, 1920, Fraction(25))[0]
    assert Storyboard(Grid(Fraction(25), 100), rendition).image_size == (90, 160)
