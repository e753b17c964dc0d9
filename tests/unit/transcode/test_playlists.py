"""Playlists, names, WebVTT and the storyboard as text: no files, no ffmpeg."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from fractions import Fraction

import m3u8
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcode.grid import Grid
from transcode.hls import bandwidth, languages, playlists, webvtt
from transcode.hls.storyboard import Storyboard
from transcode.hls.webvtt import Cue
from transcode.ladder import ladder
from transcode.plans.audio import AudioPlan
from transcode.plans.tracks import TracksPlan
from transcode.timeline import AudioTrack, SubtitleTrack, Timeline, VideoTrack

NTSC = Fraction(30000, 1001)


def film(hours: float, fps: Fraction = NTSC, tracks: int = 1) -> Timeline:
    audio = tuple(AudioTrack(number + 1, 2) for number in range(tracks))
    return Timeline(Grid(fps, round(hours * 3600 * fps)), ladder(1920, 1080, fps), VideoTrack(0, 1920, 1080), audio)


def test_a_video_of_24_hours_fits_into_the_arguments_of_one_program() -> None:
    """Linux takes 128 KiB per argument, and at least as much as that for all of them."""
    for fps in (Fraction(1), NTSC, Fraction(60)):
        timeline = film(24, fps)
        longest = max(map(len, AudioPlan(timeline, __file__).argv()))  # type: ignore[arg-type]
        assert longest < 64 * 1024
    every = TracksPlan(film(24, tracks=100), __file__).argv()  # type: ignore[arg-type]
    assert sum(len(argument) + 9 for argument in every) < 128 * 1024


def test_the_playlists_of_a_video_of_24_hours_are_there_at_once() -> None:
    timeline = film(24)
    begun = time.process_time()
    playlist = m3u8.loads(playlists.media_playlist(timeline.grid))
    assert len(playlist.segments) == timeline.segments > 20_000
    assert sum(Fraction(str(one.duration)) for one in playlist.segments) == pytest.approx(24 * 3600, abs=0.1)
    lengths = [timeline.grid.length(number) for number in range(timeline.segments)]
    bandwidth.rates([1000 + number % 7 for number in range(timeline.segments)], lengths, timeline.grid.target)
    assert time.process_time() - begun < 20


def test_rates_take_a_time_that_is_linear_in_the_number_of_segments() -> None:
    def spent(count: int) -> float:
        sizes, lengths = list(range(count)), [Fraction(4004, 1000)] * count
        begun = time.process_time()
        bandwidth.rates(sizes, lengths, 4)
        return time.process_time() - begun

    spent(1000)
    assert spent(40_000) < 40 * max(spent(4000), 0.002)


@given(
    st.lists(st.tuples(st.integers(1, 10**7), st.integers(1, 400)), min_size=1, max_size=12), st.integers(1, 6)
)  # fmt: skip
def test_the_peak_is_that_of_the_worst_run_about_one_target_long(pieces: list[tuple[int, int]], target: int) -> None:
    sizes, lengths = [size for size, _ in pieces], [Fraction(frames, 30) for _, frames in pieces]
    runs = [(first, after) for after in range(1, len(pieces) + 1) for first in range(after)]
    found = [
        sum(sizes[first:after]) * 8 / sum(lengths[first:after])
        for first, after in runs
        if Fraction(target, 2) <= sum(lengths[first:after]) <= Fraction(3 * target, 2)
    ]
    rates = bandwidth.rates(sizes, lengths, target)
    average = sum(sizes) * 8 / sum(lengths)
    assert rates.average == pytest.approx(float(average), abs=1.1)
    assert rates.peak == pytest.approx(float(max([average, *found])), abs=1.1)


CAP = bandwidth.Rates(9_600_000, 4_800_000)


@given(st.dictionaries(st.integers(0, 99), st.integers(1, 8_000_000), min_size=1))
def test_an_estimate_lies_between_what_is_measured_and_the_caps(sizes: dict[int, int]) -> None:
    grid = Grid(Fraction(25), 100 * 100)
    found, measured = bandwidth.expected(sizes, grid, CAP), bandwidth.of_segments(sizes, grid)
    assert measured.peak <= found.peak <= max(CAP.peak, measured.peak)
    assert measured.average <= found.average <= found.peak


def said_of(film: Callable[[int], float]) -> tuple[list[bandwidth.Rates], bandwidth.Rates]:
    """Of half an hour whose segments take so many bytes: the estimates, one after each chunk, and the exact values."""
    grid, sizes = Grid(Fraction(25), 25 * 1800), dict[int, int]()
    said = [bandwidth.expected(sizes, grid, CAP)]
    for chunk in range(grid.chunks):
        sizes |= {number: round(film(number)) for number in grid.chunk(chunk)}
        said.append(bandwidth.expected(sizes, grid, CAP))
    assert len(said) > 50
    return said, bandwidth.of_segments(sizes, grid)


def changes(said: list[bandwidth.Rates]) -> int:
    return sum(one != other for one, other in itertools.pairwise(said))


def test_estimates_come_down_to_an_ordinary_video_in_few_steps() -> None:
    """Some 2.4 Mbit/s with scenes of twice as much, after a minute of black."""
    chance = random.Random(4)
    said, exact = said_of(lambda number: 20_000 if number < 15 else 1_200_000 * chance.uniform(0.5, 2.0))
    assert said[4].peak > 2_000_000  # black says little
    for late in (said[10], said[30], said[-1]):
        assert exact.average / 1.2 <= late.average <= 1.4 * exact.average
        assert exact.peak / 1.1 <= late.peak <= 1.4 * exact.peak
    assert changes(said) <= 10


def test_estimates_of_a_video_that_takes_more_than_its_caps_change_seldom() -> None:
    chance = random.Random(4)
    assert changes(said_of(lambda number: 2_500_000 * chance.uniform(0.5, 2.0))[0]) <= 15


@given(st.integers(1, 2000), st.sampled_from(["1", "7/3", "10", "12.5", "24000/1001", "24", "25", "30000/1001", "60"]))
def test_no_segment_is_longer_than_the_target_when_rounded(frames: int, fps: str) -> None:
    """RFC 8216, 4.3.3.1; the 0.5 s are Apple's."""
    grid = Grid(Fraction(fps), frames)
    lengths = [grid.length(number) for number in range(grid.segments)]
    assert sum(lengths) == grid.duration
    assert all(int(length + Fraction(1, 2)) <= grid.target and length > 0 for length in lengths)


@pytest.mark.parametrize(
    ("size", "names"),
    [
        ((3840, 2160), ["480p", "720p", "1080p"]), ((1920, 1080), ["480p", "720p", "1080p"]),
        ((1920, 800), ["480p", "720p", "1080p"]), ((1080, 1920), ["480p", "720p", "1080p"]),
        ((1280, 720), ["480p", "720p"]), ((720, 576), ["480p"]), ((320, 240), ["480p"]), ((16, 9000), ["480p"]),
    ],
)  # fmt: skip
def test_no_rendition_is_larger_than_its_source(size: tuple[int, int], names: list[str]) -> None:
    found = ladder(*size, Fraction(25))
    assert [one.name for one in found][: len(names)] == names
    for one in found:
        assert one.width % 2 == one.height % 2 == 0
        assert one.width <= max(16, size[0])
        assert one.height <= max(16, size[1])


@pytest.mark.parametrize(
    ("code", "tag", "name"),
    [
        ("ger", "de", "Deutsch"), ("deu", "de", "Deutsch"), ("de", "de", "Deutsch"), ("eng", "en", "English"),
        ("pt-BR", "pt-BR", "Português"), ("zh_Hant", "zh-Hant", "中文"), ("ENG", "en", "English"),
        ("gsw", "gsw", ""), ("und", "", ""), ("", "", ""), ("x", "", ""), ('e"n', "", ""), ("German", "", ""),
    ],
)  # fmt: skip
def test_languages_become_the_tags_of_playlists(code: str, tag: str, name: str) -> None:
    assert (languages.tag(code), languages.name(code)) == (tag, name)


def test_no_two_tracks_have_one_name() -> None:
    tracks = [AudioTrack(1, 2, "ger"), AudioTrack(2, 2, "deu"), AudioTrack(3, 2), AudioTrack(4, 2, title='A "B"')]
    assert playlists.track_names(tracks, "Audio") == ["Deutsch", "Deutsch 2", "Audio 3", "A 'B'"]
    clash = [SubtitleTrack(1, title="One"), SubtitleTrack(2, title="One 2"), SubtitleTrack(3, title="One")]
    assert len(set(playlists.track_names(clash, "Subtitles"))) == 3


def test_webvtt_is_read_whatever_is_in_it() -> None:
    text = (
        "WEBVTT - a title\r\n\r\nNOTE nothing\r\n\r\nSTYLE\r\n::cue {}\r\n"
        "\r\n7\r\n00:01.500 --> 00:02.000 line:0\r\nOne\r\n"
        "\r\n10:00:00.000 --> 10:00:01.000\r\nTwo\r\nlines\r\n\r\n10:00:05.000 --> 10:00:05.000\r\nNo end\r\n"
    )
    assert webvtt.parse(text) == [
        Cue(1500, 2000, "One", "line:0"),
        Cue(36_000_000, 36_001_000, "Two\nlines"),
        Cue(36_005_000, 36_010_000, "No end"),
    ]
    assert webvtt.parse("") == []


def test_words_are_what_people_say_and_nothing_else() -> None:
    """As ffmpeg turns ASS and the like into WebVTT."""
    text = (
        "WEBVTT\n\n00:01.000 --> 00:02.000\nm 0 0 l 100.5 0 b 1 -2 3 4 5 6\n"
        "\n00:01.000 --> 00:01.000\nGo\\hon --> m 8\n\n00:01.000 --> 00:02.000\nm 1 2\nThere\n"
        "\n00:03.000 --> 00:04.000\nEnd\n"
    )
    assert [(cue.start, cue.end, cue.words) for cue in webvtt.parse(text)] == [
        (1000, 3000, "Go\u00a0on --&gt; m 8"), (1000, 2000, "There"), (3000, 4000, "End"),
    ]  # fmt: skip


def test_lines_in_another_encoding_are_readable() -> None:
    assert webvtt.decoded("Grüße\nGrüße".encode() + b"\nGr\xfc\xdfe \x81") == "Grüße\nGrüße\nGrüße \ufffd"


def test_a_cue_over_a_border_is_in_both_pieces() -> None:
    cues = [Cue(-500, 500, "early"), Cue(59_000, 61_000, "over"), Cue(60_000, 60_500, "exactly")]
    first, second, third = webvtt.pieces(cues, [Fraction(60), Fraction(60), Fraction(1)], 10)
    assert first == (
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n"
        "\n00:00:00.000 --> 00:00:00.500\nearly\n\n00:00:59.000 --> 00:01:01.000\nover\n"
    )
    assert [cue.words for cue in webvtt.parse(second)] == ["over", "exactly"]
    assert "-->" not in third


def test_a_video_of_hours_has_a_small_storyboard() -> None:
    timeline = film(3)
    board = Storyboard(timeline.grid, timeline.renditions[0])
    assert 500 < len(board.segments) <= 600
    assert (board.columns, board.rows, board.sheets) == (10, 10, -(-len(board.segments) // 100))
    cues = webvtt.parse(board.index())
    assert len(cues) == len(board.segments)
    assert [cue.end for cue in cues[:-1]] == [cue.start for cue in cues[1:]]
    assert cues[-1].end == round(timeline.grid.duration * 1000)
    assert cues[110].words == "0001.jpg#xywh=0,90,160,90"


def test_a_portrait_storyboard_stands_upright() -> None:
    rendition = ladder(1080, 1920, Fraction(25))[0]
    assert Storyboard(Grid(Fraction(25), 100), rendition).size == (90, 160)
