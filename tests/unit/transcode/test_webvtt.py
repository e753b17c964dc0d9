"""WebVTT: parsing what ffmpeg writes, and splitting it into segments."""

from __future__ import annotations

from fractions import Fraction

from transcode.hls import webvtt
from transcode.hls.webvtt import Cue


def test_cues_are_parsed_and_everything_else_is_ignored() -> None:
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


def test_drawings_and_markup_of_ass_are_removed() -> None:
    """As ffmpeg turns ASS and the like into WebVTT."""
    text = (
        "WEBVTT\n\n00:01.000 --> 00:02.000\nm 0 0 l 100.5 0 b 1 -2 3 4 5 6\n"
        "\n00:01.000 --> 00:01.000\nGo\\hon --> m 8\n\n00:01.000 --> 00:02.000\nm 1 2\nThere\n"
        "\n00:03.000 --> 00:04.000\nEnd\n"
    )
    assert [(cue.start, cue.end, cue.text) for cue in webvtt.parse(text)] == [
        (1000, 3000, "Go\u00a0on --&gt; m 8"), (1000, 2000, "There"), (3000, 4000, "End"),
    ]  # fmt: skip


def test_lines_that_are_not_utf_8_are_read_as_windows_1252() -> None:
    assert webvtt.decode("Grüße\nGrüße".encode() + b"\nGr\xfc\xdfe \x81") == "Grüße\nGrüße\nGrüße \ufffd"


def test_a_cue_that_crosses_a_boundary_is_in_both_segments() -> None:
    cues = [Cue(-500, 500, "early"), Cue(59_000, 61_000, "over"), Cue(60_000, 60_500, "exactly")]
    first, second, third = webvtt.split_cues(cues, [Fraction(60), Fraction(60), Fraction(1)], 10)
    assert first == (
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n"
        "\n00:00:00.000 --> 00:00:00.500\nearly\n\n00:00:59.000 --> 00:01:01.000\nover\n"
    )
    assert [cue.text for cue in webvtt.parse(second)] == ["over", "exactly"]
    assert "-->" not in third
