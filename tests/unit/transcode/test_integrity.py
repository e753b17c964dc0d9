"""Integrity: which files of finished tasks are missing from the disk."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from transcode import paths
from transcode.grid import Grid
from transcode.hls import playlists
from transcode.hls.published import is_track_complete
from transcode.hls.storyboard import sheet_name
from transcode.integrity import MissingFiles, find_missing, without_missing
from transcode.ladder import build_ladder
from transcode.presentation import AudioTrack, Presentation, SubtitleTrack, VideoTrack
from transcode.repository import VideoRecord

FPS = Fraction(25)
TIMELINE = Presentation(
    Grid(FPS, 25 * 12), build_ladder(64, 36, FPS), VideoTrack(0, 64, 36), (AudioTrack(1, 2), AudioTrack(2, 2)),
    (SubtitleTrack(3),),
)  # fmt: skip
KINDS = frozenset({"thumbnail", "tracks", "subtitles", "iframes", "storyboard", "finish"})
RECORD = VideoRecord(
    1, "film.mp4", TIMELINE, frozenset({0, 1}), KINDS, task_results={"subtitles": {"tracks": [1]}}
)  # fmt: skip


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a media folder with every file of video 1."""
    folder = paths.video_dir(tmp_path, 1)
    for number in range(TIMELINE.segment_count):
        write(paths.segment_path(tmp_path, 1, "480p", number))
    for track, name in (
        (paths.audio_folder_name(1), paths.segment_name),
        (paths.subtitle_folder_name(1), paths.subtitle_segment_name),
    ):
        write(folder / track / paths.MEDIA_PLAYLIST, playlists.track_playlist([Fraction(4)], 4, name))
        write(folder / track / name(0))
    write(paths.thumbnail_path(tmp_path, 1))
    write(folder / paths.MASTER_PLAYLIST)
    write(folder / paths.STORYBOARD_DIR / paths.STORYBOARD_INDEX)
    write(folder / paths.STORYBOARD_DIR / sheet_name(0))
    write(folder / "480p" / paths.MEDIA_PLAYLIST)
    write(folder / "480p" / paths.IFRAME_PLAYLIST)
    return tmp_path


def test_nothing_is_missing_while_every_file_is_there(root: Path) -> None:
    assert not find_missing(RECORD, root)
    assert without_missing(RECORD, root) == RECORD


@pytest.mark.parametrize(
    ("file", "missing"),
    [
        ("hls/1/480p/0000.ts", MissingFiles(chunks=frozenset({0}))),
        ("hls/1/480p/0002.ts", MissingFiles(chunks=frozenset({1}))),
        ("hls/1/audio1/0000.ts", MissingFiles(kinds=frozenset({"tracks"}))),
        ("hls/1/audio1/index.m3u8", MissingFiles(kinds=frozenset({"tracks"}))),
        ("hls/1/subs1/0000.vtt", MissingFiles(kinds=frozenset({"subtitles"}))),
        ("hls/1/master.m3u8", MissingFiles(kinds=frozenset({"finish"}))),
        ("hls/1/480p/index.m3u8", MissingFiles(kinds=frozenset({"finish"}))),
        ("hls/1/480p/iframes.m3u8", MissingFiles(kinds=frozenset({"iframes"}))),
        ("hls/1/storyboard/0000.jpg", MissingFiles(kinds=frozenset({"storyboard"}))),
        ("thumbnails/1.jpg", MissingFiles(kinds=frozenset({"thumbnail"}))),
    ],
)
def test_a_missing_file_is_of_its_chunk_or_task(root: Path, file: str, missing: MissingFiles) -> None:
    (root / file).unlink()
    assert find_missing(RECORD, root) == missing
    remaining = without_missing(RECORD, root)
    assert (remaining.chunks_done, remaining.tasks_done) == (
        RECORD.chunks_done - missing.chunks, KINDS - missing.kinds,
    )  # fmt: skip


def test_what_was_never_done_is_not_missing(tmp_path: Path) -> None:
    assert not find_missing(VideoRecord(1, "film.mp4", TIMELINE, frozenset(), frozenset()), tmp_path)
    assert not find_missing(VideoRecord(1, "film.mp4", None, frozenset({0}), KINDS), tmp_path)


def test_a_track_is_complete_only_with_its_playlist(root: Path) -> None:
    track = paths.video_dir(root, 1) / paths.audio_folder_name(1)
    assert is_track_complete(track)
    (track / paths.MEDIA_PLAYLIST).unlink()
    assert not is_track_complete(track)
