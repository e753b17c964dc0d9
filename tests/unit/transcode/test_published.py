"""What is published of a video, read from its folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.scripted_tasks import make_presentation
from transcode.hls import playlists
from transcode.hls.published import PublishedVideo, is_track_complete
from transcode.paths import segment_name
from transcode.presentation import AudioTrack


@pytest.fixture
def published(tmp_path: Path) -> PublishedVideo:
    """A video of two segments and two audio tracks, of which nothing is published but an empty folder."""
    (tmp_path / "480p").mkdir()
    audio = (AudioTrack(1, 2), AudioTrack(2, 2))
    return PublishedVideo(replace(make_presentation(8), audio=audio), tmp_path)


def publish_track(folder: Path) -> None:
    """Publish an audio track of two segments of 1000 and 3000 bytes, four seconds each."""
    folder.mkdir()
    for number, size in enumerate((1000, 3000)):
        (folder / segment_name(number)).write_bytes(bytes(size))
    (folder / "index.m3u8").write_text(playlists.track_playlist([4, 4], 4, segment_name))  # type: ignore[list-item]


def test_a_video_without_any_file_has_no_playlists_and_no_tracks(published: PublishedVideo) -> None:
    assert published.read_master_playlist() == ""
    assert not published.has_iframe_playlist()
    assert published.iframe_sizes() == {"480p": {}}
    assert published.segment_sizes("480p") == {}
    assert published.alternate_media() == playlists.NO_ALTERNATE_MEDIA


def test_only_segments_of_the_grid_are_measured(published: PublishedVideo) -> None:
    for name, size in {"0001.ts": 7, "0002.ts": 8, "index.m3u8": 9}.items():
        (published.folder / "480p" / name).write_bytes(bytes(size))
    assert published.segment_sizes("480p") == {1: 7}


def test_a_track_is_listed_with_its_rates_once_it_is_complete(published: PublishedVideo) -> None:
    track = published.folder / "audio1"
    publish_track(track)
    media = published.alternate_media()
    assert (media.audio, media.subtitles) == ((1,), ())
    assert (media.audio_rates.peak, media.audio_rates.average) == (6000, 4000)
    (track / "0001.ts").unlink()
    assert not is_track_complete(track)
    assert published.alternate_media() == playlists.NO_ALTERNATE_MEDIA


def test_a_folder_that_is_gone_is_an_error_for_segments(published: PublishedVideo) -> None:
    (published.folder / "480p").rmdir()
    with pytest.raises(FileNotFoundError):
        published.segment_sizes("480p")
