"""Integrity: which files of finished tasks are missing from the disk."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from transcode import layout
from transcode.book import FilmEntry
from transcode.grid import Grid
from transcode.hls import playlists
from transcode.hls.storyboard import sheet_name
from transcode.ladder import ladder
from transcode.losses import Losses, as_found, is_complete, losses
from transcode.timeline import AudioTrack, SubtitleTrack, Timeline, VideoTrack

FPS = Fraction(25)
TIMELINE = Timeline(
    Grid(FPS, 25 * 12), ladder(64, 36, FPS), VideoTrack(0, 64, 36), (AudioTrack(1, 2), AudioTrack(2, 2)),
    (SubtitleTrack(3),),
)  # fmt: skip
KINDS = frozenset({"thumbnail", "tracks", "subtitles", "iframes", "storyboard", "finish"})
RECORD = FilmEntry(
    1, "film.mp4", TIMELINE.as_json(), frozenset({0, 1}), KINDS, results={"subtitles": {"tracks": [1]}}
)  # fmt: skip


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a media folder with every file of video 1."""
    folder = layout.film_dir(tmp_path, 1)
    for number in range(TIMELINE.segments):
        write(layout.segment_path(tmp_path, 1, "480p", number))
    for track, name in ((layout.audio_track(1), layout.segment_name), (layout.subtitle_track(1), layout.words_name)):
        write(folder / track / layout.MEDIA_PLAYLIST, playlists.track_playlist([Fraction(4)], 4, name))
        write(folder / track / name(0))
    write(layout.thumbnail_path(tmp_path, 1))
    write(folder / layout.MASTER)
    write(folder / layout.STORYBOARD / layout.STORYBOARD_INDEX)
    write(folder / layout.STORYBOARD / sheet_name(0))
    write(folder / "480p" / layout.MEDIA_PLAYLIST)
    write(folder / "480p" / layout.IFRAME_PLAYLIST)
    return tmp_path


def test_nothing_is_missing_while_every_file_is_there(root: Path) -> None:
    assert not losses(RECORD, root)
    assert as_found(RECORD, root) == RECORD


@pytest.mark.parametrize(
    ("file", "missing"),
    [
        ("hls/1/480p/0000.ts", Losses(chunks=frozenset({0}))),
        ("hls/1/480p/0002.ts", Losses(chunks=frozenset({1}))),
        ("hls/1/audio1/0000.ts", Losses(kinds=frozenset({"tracks"}))),
        ("hls/1/audio1/index.m3u8", Losses(kinds=frozenset({"tracks"}))),
        ("hls/1/subs1/0000.vtt", Losses(kinds=frozenset({"subtitles"}))),
        ("hls/1/master.m3u8", Losses(kinds=frozenset({"finish"}))),
        ("hls/1/480p/index.m3u8", Losses(kinds=frozenset({"finish"}))),
        ("hls/1/480p/iframes.m3u8", Losses(kinds=frozenset({"iframes"}))),
        ("hls/1/storyboard/0000.jpg", Losses(kinds=frozenset({"storyboard"}))),
        ("thumbnails/1.jpg", Losses(kinds=frozenset({"thumbnail"}))),
    ],
)
def test_a_missing_file_is_of_its_chunk_or_task(root: Path, file: str, missing: Losses) -> None:
    (root / file).unlink()
    assert losses(RECORD, root) == missing
    remaining = as_found(RECORD, root)
    assert (remaining.chunks_done, remaining.done_kinds) == (
        RECORD.chunks_done - missing.chunks, KINDS - missing.kinds,
    )  # fmt: skip


def test_what_was_never_done_is_not_missing(tmp_path: Path) -> None:
    assert not losses(FilmEntry(1, "film.mp4", TIMELINE.as_json(), frozenset(), frozenset()), tmp_path)
    assert not losses(FilmEntry(1, "film.mp4", None, frozenset({0}), KINDS), tmp_path)


def test_a_track_is_complete_only_with_its_playlist(root: Path) -> None:
    track = layout.film_dir(root, 1) / layout.audio_track(1)
    assert is_complete(track)
    (track / layout.MEDIA_PLAYLIST).unlink()
    assert not is_complete(track)
