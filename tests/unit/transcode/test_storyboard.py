"""Storyboards: tiles, sheets and index."""

from __future__ import annotations

from fractions import Fraction

from transcode.grid import Grid
from transcode.hls import webvtt
from transcode.hls.storyboard import Storyboard
from transcode.ladder import build_ladder
from transcode.presentation import AudioTrack, Presentation, VideoTrack

NTSC = Fraction(30000, 1001)


def make_presentation(hours: float, fps: Fraction = NTSC, tracks: int = 1) -> Presentation:
    audio = tuple(AudioTrack(number + 1, 2) for number in range(tracks))
    return Presentation(
        Grid(fps, round(hours * 3600 * fps)), build_ladder(1920, 1080, fps), VideoTrack(0, 1920, 1080), audio
    )


def test_a_long_video_has_a_small_storyboard() -> None:
    presentation = make_presentation(3)
    storyboard = Storyboard(presentation.grid, presentation.renditions[0])
    assert 500 < len(storyboard.segments) <= 600
    assert (storyboard.columns, storyboard.rows, storyboard.sheet_count) == (
        10,
        10,
        -(-len(storyboard.segments) // 100),
    )
    cues = webvtt.parse(storyboard.render_index())
    assert len(cues) == len(storyboard.segments)
    assert [cue.end for cue in cues[:-1]] == [cue.start for cue in cues[1:]]
    assert cues[-1].end == round(presentation.grid.duration * 1000)
    assert cues[110].text == "0001.jpg#xywh=0,90,160,90"


def test_a_portrait_storyboard_stands_upright() -> None:
    rendition = build_ladder(1080, 1920, Fraction(25))[0]
    assert Storyboard(Grid(Fraction(25), 100), rendition).image_size == (90, 160)
