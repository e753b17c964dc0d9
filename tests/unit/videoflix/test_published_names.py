"""Published names: which paths below a video exist for clients, and what they are."""

from __future__ import annotations

import pytest

from videoflix.media.published_names import FileKind, PublishedName, parse_name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("master.m3u8", PublishedName("", "master.m3u8", FileKind.PLAYLIST)),
        ("480p/index.m3u8", PublishedName("480p", "index.m3u8", FileKind.PLAYLIST, "480p")),
        ("1080p/iframes.m3u8", PublishedName("1080p", "iframes.m3u8", FileKind.PLAYLIST, "1080p")),
        ("480p/0000.ts", PublishedName("480p", "0000.ts", FileKind.SEGMENT, "480p", 0)),
        ("480p/12345.ts", PublishedName("480p", "12345.ts", FileKind.SEGMENT, "480p", 12345)),
        ("audio1/index.m3u8", PublishedName("audio1", "index.m3u8", FileKind.PLAYLIST)),
        ("audio99/0007.ts", PublishedName("audio99", "0007.ts", FileKind.SEGMENT, None, 7)),
        ("subs2/0001.vtt", PublishedName("subs2", "0001.vtt", FileKind.WEBVTT, None, 1)),
        ("storyboard/index.vtt", PublishedName("storyboard", "index.vtt", FileKind.WEBVTT)),
        ("storyboard/0000.jpg", PublishedName("storyboard", "0000.jpg", FileKind.IMAGE, None, 0)),
    ],
)
def test_a_published_path_has_its_kind_and_number(path: str, name: PublishedName) -> None:
    assert parse_name(path) == name
    assert name.is_index is (name.number is None)


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "master.m3u8/", "master.m3u8\n", "../master.m3u8", "480p/../master.m3u8", "480p/000.ts",
        "480p/00000.ts", "480p/01234567.ts", "480p/\u0660\u0660\u0660\u0660.ts", "480p/0000.TS",
        "480P/0000.ts", "48p/0000.ts",
        "audio0/0000.ts", "audio100/0000.ts", "audio1/0000.vtt", "subs1/0000.ts", "storyboard/0000.vtt",
        "chunk/0000.ts", "480p/0000.ts.tmp", "480p//0000.ts", "480p%2f0000.ts", "scratch/1/audio",
    ],
)  # fmt: skip
def test_any_other_path_does_not_exist(path: str) -> None:
    assert parse_name(path) is None
