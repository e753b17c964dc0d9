"""On-demand segments between those of chunks: times and samples are as if encoded in one run."""

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
FIRST, BOUNDARIES, LAST, ALL = [0], [1, 2, 3], [5], [0, 1, 2, 3, 4, 5]


@pytest.fixture(scope="module")
def chunked(tools: FfmpegBinaries, tmp_path_factory: pytest.TempPathFactory) -> VideoBuilder:
    """All chunks of a video with music; the encoded audio of its chunks still exists."""
    folder = tmp_path_factory.mktemp("mixing")
    source = folder / "video.mkv"
    music = "0.3*sin(2*PI*(300+200*sin(t))*t)+0.2*sin(2*PI*440*t)*lt(mod(t,2),0.5)"
    audio = ["-f", "lavfi", "-i", f"aevalsrc='{music}|{music}':d={SECONDS}:s=44100"]
    sample_videos.run_ffmpeg(
        tools,
        *sample_videos.video_input("30000/1001", SECONDS),
        *audio,
        *sample_videos.H264,
        "-c:a",
        "libmp3lame",
        str(source),
    )
    builder = VideoBuilder(folder / "media", source, tools)
    builder.probe()
    builder.encode_audio()
    builder.encode_chunks()
    return builder


def copy_of(chunked: VideoBuilder, folder: Path) -> VideoBuilder:
    shutil.copytree(chunked.root, folder / "media")
    return VideoBuilder(folder / "media", chunked.source, chunked.tools, presentation_json=chunked.presentation_json)


def encode_on_demand(video: VideoBuilder, numbers: Sequence[int]) -> None:
    """Replace these segments by on-demand ones."""
    for number in numbers:
        video.segment_paths()[number].unlink()
        video.run_task("segment", number, "480p")


def read_all_packets(video: VideoBuilder) -> list[ffprobe.SegmentPackets]:
    return [ffprobe.read_packets(video.tools, file) for file in video.segment_paths()]


def playlist_path(video: VideoBuilder) -> Path:
    return video.folder / "480p" / "index.m3u8"


def test_audio_cut_into_chunks_equals_one_uncut_encoding(chunked: VideoBuilder, tmp_path: Path) -> None:
    argv = AudioPlan(chunked.presentation, chunked.source).argv()
    whole = tmp_path / "whole.ts"
    cut = argv.index("segment") - 1
    sample_videos.run_ffmpeg(chunked.tools, *argv[:cut], "-f", "mpegts", "-mpegts_copyts", "1", str(whole))
    uncut = ffprobe.decode_audio(chunked.tools, "-i", str(whole))
    assert len(uncut) > 2 * audio_filters.SAMPLE_RATE_HZ * SECONDS
    assert ffprobe.decode_audio(chunked.tools, "-i", str(playlist_path(chunked))) == uncut


@pytest.mark.parametrize(
    "numbers", [FIRST, BOUNDARIES, LAST, [0, 1, 2, 3, 4, 5]], ids=["first", "borders", "last", "all"]
)
def test_with_finished_audio_times_and_samples_are_the_same(
    chunked: VideoBuilder, tmp_path: Path, numbers: list[int]
) -> None:
    video = copy_of(chunked, tmp_path)
    encode_on_demand(video, numbers)
    assert read_all_packets(video) == read_all_packets(chunked)
    assert ffprobe.decode_audio(chunked.tools, "-i", str(playlist_path(video))) == ffprobe.decode_audio(
        chunked.tools, "-i", str(playlist_path(chunked))
    )
    assert ffprobe.decode_playlist(chunked.tools, playlist_path(video), tmp_path, sound=True).complaints == ""


def test_without_the_finished_audio_samples_shift_under_a_millisecond(chunked: VideoBuilder, tmp_path: Path) -> None:
    video = copy_of(chunked, tmp_path)
    shutil.rmtree(paths.chunk_audio_dir(video.root, 1))
    encode_on_demand(video, [0, 1, 3, 5])
    assert read_all_packets(video) == read_all_packets(chunked)
    own, run = (
        ffprobe.decode_audio(chunked.tools, "-i", str(playlist_path(builder)))[::2] for builder in (video, chunked)
    )
    assert len(own) == len(run)
    for number in (0, 1, 3, 5):
        middle = round(audio_filters.SAMPLE_RATE_HZ * (chunked.presentation.grid.segment_start(number) + 1))
        samples = range(middle, middle + 6000, 3)
        level = sum(abs(run[index]) for index in samples)
        # Matroska's timestamps are in milliseconds, so a start in the middle is only that precise.
        assert any(sum(abs(run[index] - own[index + lag]) for index in samples) < level / 3 for lag in range(-48, 49))
    assert ffprobe.decode_playlist(chunked.tools, playlist_path(video), tmp_path, sound=True).complaints == ""


def test_on_demand_segments_have_the_size_of_their_rendition(tools: FfmpegBinaries, tmp_path: Path) -> None:
    source = tmp_path / "video.mp4"
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
    video = VideoBuilder(tmp_path / "media", source, tools)
    video.probe()
    video.run_task("segment", 1, "720p")  # before anything else is encoded
    alone = video.segment_paths("720p")[1].read_bytes()
    video.encode_audio()
    video.encode_chunks()
    assert video.segment_paths("720p")[1].read_bytes() != alone  # the chunk replaces it
    before = {
        name: [ffprobe.read_packets(tools, file) for file in video.segment_paths(name)] for name in ("720p", "1080p")
    }
    video.segment_paths("1080p")[1].unlink()
    video.run_task("segment", 1, "1080p")
    assert (
        [ffprobe.read_packets(tools, file) for file in video.segment_paths("1080p")]
        == before["1080p"]
        == before["720p"]
    )
    for kind in ("iframes", "storyboard", "finish"):
        video.run_task(kind)
    hls_checks.check(video.folder, tools)


def test_an_existing_segment_stays(chunked: VideoBuilder, tmp_path: Path) -> None:
    video = copy_of(chunked, tmp_path)
    before = video.segment_paths()[4].read_bytes()
    video.run_task("segment", 4, "480p")
    assert video.segment_paths()[4].read_bytes() == before
