"""Playlists as text: size and speed for long videos, and names of tracks."""

from __future__ import annotations

import time
from fractions import Fraction

import m3u8
import pytest

from transcode.grid import Grid
from transcode.hls import bandwidth, playlists
from transcode.ladder import build_ladder
from transcode.presentation import AudioTrack, Presentation, SubtitleTrack, VideoTrack
from transcode.tasks.alternate_audio import AlternateAudioPlan
from transcode.tasks.audio import AudioPlan

NTSC = Fraction(30000, 1001)


def make_presentation(hours: float, fps: Fraction = NTSC, tracks: int = 1) -> Presentation:
    audio = tuple(AudioTrack(number + 1, 2) for number in range(tracks))
    return Presentation(
        Grid(fps, round(hours * 3600 * fps)), build_ladder(1920, 1080, fps), VideoTrack(0, 1920, 1080), audio
    )


def test_a_video_of_24_hours_fits_into_the_arguments_of_a_program() -> None:
    """Linux allows 128 KiB per argument, and at least as much for all of them."""
    for fps in (Fraction(1), NTSC, Fraction(60)):
        presentation = make_presentation(24, fps)
        longest = max(map(len, AudioPlan(presentation, __file__).argv()))  # type: ignore[arg-type]
        assert longest < 64 * 1024
    argv = AlternateAudioPlan(make_presentation(24, tracks=100), __file__, range(1, 100)).argv()  # type: ignore[arg-type]
    assert sum(len(argument) + 9 for argument in argv) < 128 * 1024


def test_the_playlists_of_a_video_of_24_hours_take_seconds() -> None:
    presentation = make_presentation(24)
    started = time.process_time()
    playlist = m3u8.loads(playlists.media_playlist(presentation.grid))
    assert len(playlist.segments) == presentation.segment_count > 20_000
    assert sum(Fraction(str(segment.duration)) for segment in playlist.segments) == pytest.approx(24 * 3600, abs=0.1)
    durations = [presentation.grid.segment_duration(number) for number in range(presentation.segment_count)]
    bandwidth.measure_rates(
        [1000 + number % 7 for number in range(presentation.segment_count)],
        durations,
        presentation.grid.target_duration,
    )
    assert time.process_time() - started < 20


def test_no_two_tracks_have_the_same_name() -> None:
    tracks = [AudioTrack(1, 2, "ger"), AudioTrack(2, 2, "deu"), AudioTrack(3, 2), AudioTrack(4, 2, title='A "B"')]
    assert playlists.track_names(tracks, "Audio") == ["Deutsch", "Deutsch 2", "Audio 3", "A 'B'"]
    clash = [SubtitleTrack(1, title="One"), SubtitleTrack(2, title="One 2"), SubtitleTrack(3, title="One")]
    assert len(set(playlists.track_names(clash, "Subtitles"))) == 3
