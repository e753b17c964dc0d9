"""Recordings whose picture or sound is another one on the way, and slides that stand for long."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import ffprobe, hls_checks, sample_videos
from tests.support.sample_videos import luma_of
from tests.support.video_builder import VideoBuilder
from tests.support.video_factory import build_and_inspect
from transcode.ffmpeg.binaries import FfmpegBinaries


def broadcast(tools: FfmpegBinaries, folder: Path) -> Path:
    """Three parts of two seconds on one clock: larger, then square; in mono, then in surround."""
    made = folder / "broadcast.ts"
    parts = [("64x36", "mono"), ("128x72", "5.1"), ("36x36", "mono")]
    for number, (size, channels) in enumerate(parts):
        part = folder / f"{number}.ts"
        film = [*sample_videos.video_input(seconds=2, size=size), *sample_videos.beep_input(2, channels=channels)]
        maps = ["-map", "0", "-map", "1", "-map", "1", "-output_ts_offset", str(2 * number)]
        sample_videos.run_ffmpeg(tools, *film, *maps, *sample_videos.H264, "-c:a", "ac3", str(part))
        with made.open("ab") as file:
            file.write(part.read_bytes())
    return made


def test_a_recording_that_changes_its_streams_stays_one_video(tools: FfmpegBinaries, tmp_path: Path) -> None:
    film = build_and_inspect(tools, broadcast(tools, tmp_path), tmp_path)
    assert film.decoded.complaints == ""
    hls_checks.check_audio_continuity([time for segment in film.segments for time in segment.audio_times])
    hls_checks.check_audio_track(film.builder.folder / "audio1" / "index.m3u8", tools)

    def shows(at: float, numbers: range, part: int) -> bool:
        """Black stands beside the square picture."""
        luma = film.decoded.luma[round(at * 25)]
        found = luma if part < 2 else (32 * luma - 14 * 16) / 18
        return any(abs(luma_of(number) - found) <= 8 for number in numbers)

    onsets = ffprobe.beep_times(film.decoded.samples)
    assert onsets == pytest.approx(range(6), abs=0.1)  # the clocks of the parts overlap a little
    for second, onset in enumerate(onsets):
        number = second % 2 * 25
        assert shows(onset + 0.2, range(number + 3, number + 8), second // 2)
    alone = VideoBuilder(tmp_path / "alone", film.builder.source, tools)
    alone.probe()
    alone.run_task("segment", 1, "480p")
    assert (
        ffprobe.read_packets(tools, alone.segment_paths()[1]).presentation_times == film.segments[1].presentation_times
    )


def test_the_last_slide_is_shown_however_short_its_frame_is(tools: FfmpegBinaries, tmp_path: Path) -> None:
    source = tmp_path / "slides.mp4"
    slides = sample_videos.video_input(filters="select='eq(n,0)+eq(n,100)+eq(n,149)'")
    sample_videos.run_ffmpeg(
        tools, *slides, *sample_videos.beep_input(8), *sample_videos.H264, "-bf", "0", "-fps_mode", "vfr", str(source)
    )
    film = build_and_inspect(tools, source, tmp_path)
    expected = [luma_of(0)] * 40 + [luma_of(100)] * 20 + [luma_of(149)] * 20
    assert list(film.decoded.luma) == pytest.approx(expected, abs=4)


def test_a_picture_that_stands_for_seconds_stands_in_every_segment(tools: FfmpegBinaries, tmp_path: Path) -> None:
    """The next key frame is decoded five seconds before it is shown; in an MP4, ffmpeg would begin with that one."""
    source = tmp_path / "screen.mp4"
    picture = sample_videos.video_input(seconds=9, filters="select='lt(t,2)+gt(t,7)'")
    sample_videos.run_ffmpeg(
        tools, *picture, *sample_videos.beep_input(9), *sample_videos.H264, "-fps_mode", "vfr", str(source)
    )
    film = build_and_inspect(tools, source, tmp_path)
    rate = film.builder.presentation.grid.fps
    still = film.decoded.luma[int(2.2 * rate) : int(6.8 * rate)]
    assert list(still) == pytest.approx([luma_of(49)] * len(still), abs=4)
    assert any(abs(film.decoded.luma[int(8 * rate)] - luma_of(number)) <= 4 for number in range(197, 203))
    assert ffprobe.beep_times(film.decoded.samples) == pytest.approx(range(9), abs=0.012)


def test_sound_that_is_away_for_a_while_comes_back_in_its_time(tools: FfmpegBinaries, tmp_path: Path) -> None:
    source = tmp_path / "reception.ts"
    hole = ["-af", "aselect='not(between(t,1.5,13.7))'", "-c:a", "mp2"]
    sample_videos.run_ffmpeg(
        tools,
        *sample_videos.video_input("5", 16),
        *sample_videos.beep_input(16),
        *sample_videos.H264,
        *hole,
        str(source),
    )
    film = build_and_inspect(tools, source, tmp_path)
    assert film.builder.presentation.duration == pytest.approx(16, abs=0.2)
    assert ffprobe.beep_times(film.decoded.samples) == pytest.approx([0, 1, 14, 15], abs=0.04)
