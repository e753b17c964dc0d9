"""Playlists as text: their size and speed for long videos, and the names of tracks."""

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


def film(hours: float, fps: Fraction = NTSC, tracks: int = 1) -> Presentation:
    audio = tuple(AudioTrack(number + 1, 2) for number in range(tracks))
    return Presentation(
        Grid(fps, round(hours * 3600 * fps)), build_ladder(1920, 1080, fps), VideoTrack(0, 1920, 1080), audio
    )


def test_a_video_of_24_hours_fits_into_the_arguments_of_one_program() -> None:
    """Linux takes 128 KiB per argument, and at least as much as that for all of them."""
    for fps in (Fraction(1), NTSC, Fraction(60)):
        timeline = film(24, fps)
        longest = max(map(len, AudioPlan(timeline, __file__).argv()))  # type: ignore[arg-type]
        assert longest < 64 * 1024
    every = AlternateAudioPlan(film(24, tracks=100), __file__, range(1, 100)).argv()  # type: ignore[arg-type]
    assert sum(len(argument) + 9 for argument in every) < 128 * 1024


def test_the_playlists_of_a_video_of_24_hours_are_there_at_once() -> None:
    timeline = film(24)
    begun = time.process_time()
    playlist = m3u8.loads(playlists.media_playlist(timeline.grid))
    assert len(playlist.segments) == timeline.segment_count > 20_000
    assert sum(Fraction(str(one.duration)) for one in playlist.segments) == pytest.approx(24 * 3600, abs=0.1)
    lengths = [timeline.grid.segment_duration(number) for number in range(timeline.segment_count)]
    bandwidth.measure_rates(
        [1000 + number % 7 for number in range(timeline.segment_count)], lengths, timeline.grid.target_duration
    )
    assert time.process_time() - begun < 20


def test_no_two_tracks_have_one_name() -> None:
    tracks = [AudioTrack(1, 2, "ger"), AudioTrack(2, 2, "deu"), AudioTrack(3, 2), AudioTrack(4, 2, title='A "B"')]
    assert playlists.track_names(tracks, "Audio") == ["Deutsch", "Deutsch 2", "Audio 3", "A 'B'"]
    clash = [SubtitleTrack(1, title="One"), SubtitleTrack(2, title="One 2"), SubtitleTrack(3, title="One")]
    assert len(set(playlists.track_names(clash, "Subtitles"))) == 3
