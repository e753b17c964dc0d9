"""Segments that were encoded alone stand between those of the bulk work, and nobody sees or hears a difference."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import ffprobe, hls_checks, sample_videos
from tests.support.video_builder import VideoBuilder
from transcode import paths
from transcode.ffmpeg import audio_filters
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.tasks.audio import AudioPlan

# 23 seconds at 29.97: six segments in three chunks (0, 1-2, 3-5), the last segment short.
SECONDS = 23
FIRST, BORDERS, LAST = [0], [1, 2, 3], [5]


@pytest.fixture(scope="module")
def bulk(tools: FfmpegBinaries, tmp_path_factory: pytest.TempPathFactory) -> VideoBuilder:
    """All chunks of a film with music, whose sound is still in pieces beside them."""
    folder = tmp_path_factory.mktemp("mixing")
    source = folder / "film.mkv"
    music = "0.3*sin(2*PI*(300+200*sin(t))*t)+0.2*sin(2*PI*440*t)*lt(mod(t,2),0.5)"
    sound = ["-f", "lavfi", "-i", f"aevalsrc='{music}|{music}':d={SECONDS}:s=44100"]
    sample_videos.run_ffmpeg(
        tools,
        *sample_videos.video_input("30000/1001", SECONDS),
        *sound,
        *sample_videos.H264,
        "-c:a",
        "libmp3lame",
        str(source),
    )
    made = VideoBuilder(folder / "media", source, tools)
    made.probe()
    made.encode_audio()
    made.encode_chunks()
    return made


def copy_of(bulk: VideoBuilder, folder: Path) -> VideoBuilder:
    shutil.copytree(bulk.root, folder / "media")
    return VideoBuilder(folder / "media", bulk.source, bulk.tools, presentation_json=bulk.presentation_json)


def replaced(film: VideoBuilder, numbers: Sequence[int]) -> None:
    """Encode these segments alone."""
    for number in numbers:
        film.segment_paths()[number].unlink()
        film.run_task("segment", number, "480p")


def looks(film: VideoBuilder) -> list[ffprobe.SegmentPackets]:
    return [ffprobe.read_packets(film.tools, file) for file in film.segment_paths()]


def playlist(film: VideoBuilder) -> Path:
    return film.folder / "480p" / "index.m3u8"


def test_the_stitched_sound_is_the_very_sound_of_one_uncut_encoding(bulk: VideoBuilder, tmp_path: Path) -> None:
    argv = AudioPlan(bulk.presentation, bulk.source).argv()
    whole = tmp_path / "whole.ts"
    cut = argv.index("segment") - 1
    sample_videos.run_ffmpeg(bulk.tools, *argv[:cut], "-f", "mpegts", "-mpegts_copyts", "1", str(whole))
    uncut = ffprobe.decode_audio(bulk.tools, "-i", str(whole))
    assert len(uncut) > 2 * audio_filters.SAMPLE_RATE_HZ * SECONDS
    assert ffprobe.decode_audio(bulk.tools, "-i", str(playlist(bulk))) == uncut


@pytest.mark.parametrize("numbers", [FIRST, BORDERS, LAST, [0, 1, 2, 3, 4, 5]], ids=["first", "borders", "last", "all"])
def test_with_the_finished_sound_times_and_samples_are_the_same(
    bulk: VideoBuilder, tmp_path: Path, numbers: list[int]
) -> None:
    film = copy_of(bulk, tmp_path)
    replaced(film, numbers)
    assert looks(film) == looks(bulk)
    assert ffprobe.decode_audio(bulk.tools, "-i", str(playlist(film))) == ffprobe.decode_audio(
        bulk.tools, "-i", str(playlist(bulk))
    )
    assert ffprobe.decode_playlist(bulk.tools, playlist(film), tmp_path, sound=True).complaints == ""


def test_without_the_finished_audio_samples_shift_under_a_millisecond(bulk: VideoBuilder, tmp_path: Path) -> None:
    film = copy_of(bulk, tmp_path)
    shutil.rmtree(paths.chunk_audio_dir(film.root, 1))
    replaced(film, [0, 1, 3, 5])
    assert looks(film) == looks(bulk)
    own, run = (ffprobe.decode_audio(bulk.tools, "-i", str(playlist(one)))[::2] for one in (film, bulk))
    assert len(own) == len(run)
    for number in (0, 1, 3, 5):
        middle = round(audio_filters.SAMPLE_RATE_HZ * (bulk.presentation.grid.segment_start(number) + 1))
        places = range(middle, middle + 6000, 3)
        loud = sum(abs(run[place]) for place in places)
        # Matroska's clock ticks in milliseconds, so a beginning in the middle is only known that well.
        assert any(sum(abs(run[at] - own[at + lag]) for at in places) < loud / 3 for lag in range(-48, 49))
    assert ffprobe.decode_playlist(bulk.tools, playlist(film), tmp_path, sound=True).complaints == ""


def test_every_rendition_is_mixed_at_its_own_size(tools: FfmpegBinaries, tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    sample_videos.run_ffmpeg(
        tools,
        "-f",
        "lavfi",
        "-i",
        "color=gray:s=1920x1080:r=5:d=5",
        *sample_videos.beep_input(5),
        *sample_videos.H264,
        *sample_videos.AAC,
        str(source),
    )
    film = VideoBuilder(tmp_path / "media", source, tools)
    film.probe()
    film.run_task("segment", 1, "720p")  # before anything else is there
    alone = film.segment_paths("720p")[1].read_bytes()
    film.encode_audio()
    film.encode_chunks()
    assert film.segment_paths("720p")[1].read_bytes() != alone  # the bulk one replaces it
    before = {
        name: [ffprobe.read_packets(tools, file) for file in film.segment_paths(name)] for name in ("720p", "1080p")
    }
    film.segment_paths("1080p")[1].unlink()
    film.run_task("segment", 1, "1080p")
    assert (
        [ffprobe.read_packets(tools, file) for file in film.segment_paths("1080p")] == before["1080p"] == before["720p"]
    )
    for kind in ("iframes", "storyboard", "finish"):
        film.run_task(kind)
    hls_checks.check(film.folder, tools)


def test_a_segment_that_is_there_already_stays(bulk: VideoBuilder, tmp_path: Path) -> None:
    film = copy_of(bulk, tmp_path)
    before = film.segment_paths()[4].read_bytes()
    film.run_task("segment", 4, "480p")
    assert film.segment_paths()[4].read_bytes() == before
