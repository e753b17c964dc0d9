"""Recordings whose picture or sound is another one on the way, and slides that stand for long."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.transcode import inspection, rules, sources
from tests.transcode.sources import luma_of
from tests.transcode.studio import Studio
from transcode.tools import Tools


def broadcast(tools: Tools, folder: Path) -> Path:
    """Three parts of two seconds on one clock: larger, then square; in mono, then in surround."""
    made = folder / "broadcast.ts"
    parts = [("64x36", "mono"), ("128x72", "5.1"), ("36x36", "mono")]
    for number, (size, channels) in enumerate(parts):
        part = folder / f"{number}.ts"
        film = [*sources.picture(seconds=2, size=size), *sources.beeps(2, channels=channels)]
        maps = ["-map", "0", "-map", "1", "-map", "1", "-output_ts_offset", str(2 * number)]
        sources.ffmpeg(tools, *film, *maps, *sources.H264, "-c:a", "ac3", str(part))
        with made.open("ab") as file:
            file.write(part.read_bytes())
    return made


def test_a_recording_that_changes_its_picture_and_its_sound_goes_on_as_one_film(tools: Tools, tmp_path: Path) -> None:
    film = inspection.look_at(tools, broadcast(tools, tmp_path), tmp_path)
    assert film.played.complaints == ""
    rules.check_run([time for segment in film.segments for time in segment.sound])
    rules.check_sound_track(film.studio.folder / "audio1" / "index.m3u8", tools)

    def shows(at: float, numbers: range, part: int) -> bool:
        """Black stands beside the square picture."""
        luma = film.played.luma[round(at * 25)]
        found = luma if part < 2 else (32 * luma - 14 * 16) / 18
        return any(abs(luma_of(number) - found) <= 8 for number in numbers)

    onsets = inspection.onsets(film.played.samples)
    assert onsets == pytest.approx(range(6), abs=0.1)  # the clocks of the parts overlap a little
    for second, onset in enumerate(onsets):
        number = second % 2 * 25
        assert shows(onset + 0.2, range(number + 3, number + 8), second // 2)
    alone = Studio(tmp_path / "alone", film.studio.source, tools)
    alone.probe()
    alone.do("segment", 1, "480p")
    assert inspection.segment(tools, alone.segments()[1]).shown == film.segments[1].shown


def test_the_last_slide_is_shown_however_short_its_frame_is(tools: Tools, tmp_path: Path) -> None:
    source = tmp_path / "slides.mp4"
    slides = sources.picture(filters="select='eq(n,0)+eq(n,100)+eq(n,149)'")
    sources.ffmpeg(tools, *slides, *sources.beeps(8), *sources.H264, "-bf", "0", "-fps_mode", "vfr", str(source))
    film = inspection.look_at(tools, source, tmp_path)
    expected = [luma_of(0)] * 40 + [luma_of(100)] * 20 + [luma_of(149)] * 20
    assert list(film.played.luma) == pytest.approx(expected, abs=4)


def test_a_picture_that_stands_for_seconds_stands_in_every_segment(tools: Tools, tmp_path: Path) -> None:
    """The next key frame is decoded five seconds before it is shown; in an MP4, ffmpeg would begin with that one."""
    source = tmp_path / "screen.mp4"
    picture = sources.picture(seconds=9, filters="select='lt(t,2)+gt(t,7)'")
    sources.ffmpeg(tools, *picture, *sources.beeps(9), *sources.H264, "-fps_mode", "vfr", str(source))
    film = inspection.look_at(tools, source, tmp_path)
    rate = film.studio.timeline.grid.fps
    still = film.played.luma[int(2.2 * rate) : int(6.8 * rate)]
    assert list(still) == pytest.approx([luma_of(49)] * len(still), abs=4)
    assert any(abs(film.played.luma[int(8 * rate)] - luma_of(number)) <= 4 for number in range(197, 203))
    assert inspection.onsets(film.played.samples) == pytest.approx(range(9), abs=0.012)


def test_sound_that_is_away_for_a_while_comes_back_in_its_time(tools: Tools, tmp_path: Path) -> None:
    source = tmp_path / "reception.ts"
    hole = ["-af", "aselect='not(between(t,1.5,13.7))'", "-c:a", "mp2"]
    sources.ffmpeg(tools, *sources.picture("5", 16), *sources.beeps(16), *sources.H264, *hole, str(source))
    film = inspection.look_at(tools, source, tmp_path)
    assert film.studio.timeline.duration == pytest.approx(16, abs=0.2)
    assert inspection.onsets(film.played.samples) == pytest.approx([0, 1, 14, 15], abs=0.04)
