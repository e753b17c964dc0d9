"""Indexes that mark the wrong pictures as key frames: the stream itself decides where decoding begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support import ffprobe, sample_videos
from tests.support.sample_videos import luma_of
from tests.support.video_builder import VideoBuilder
from tests.support.video_factory import InspectedVideo, build_and_inspect
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.probe import sampling

SECONDS = 14
H264 = (*sample_videos.H264, "-sc_threshold", "0")
HEVC = (*sample_videos.X265[:-1], "log-level=none:scenecut=0")
MPEG4 = (*sample_videos.MPEG4, "-sc_threshold", "1000000000", "-mbd", "rd")


def remove_sync_table(data: bytes) -> bytes:
    """Return an MP4 without its table of key frames (ISO/IEC 14496-12, 8.6.2): all frames count as key frames."""
    assert b"stss" in data
    return data.replace(b"stss", b"free")


def mark_all_frames(data: bytes) -> bytes:
    """Return an AVI whose index marks every frame as a key frame."""
    changed, start = bytearray(data), data.rindex(b"idx1")
    size = int.from_bytes(data[start + 4 : start + 8], "little")
    for entry in range(start + 8, start + 8 + size, 16):
        changed[entry + 4] |= 0x10  # AVIIF_KEYFRAME
    return bytes(changed)


def make_source(
    tools: FfmpegBinaries, folder: Path, codec: Sequence[str], suffix: str, change_index: Callable[[bytes], bytes]
) -> Path:
    """Write a source of some seconds in 64x36 whose index was changed; return its path."""
    source = folder / f"video.{suffix}"
    sample_videos.run_ffmpeg(tools, *sample_videos.video_input(seconds=SECONDS), *codec, str(source))
    source.write_bytes(change_index(source.read_bytes()))
    return source


def check_pictures(video: InspectedVideo) -> None:
    """Assert that every published frame shows the frame of the source."""
    wrong = [frame for frame, luma in enumerate(video.decoded.luma) if abs(luma - luma_of(frame)) > 6]
    assert len(video.decoded.luma) == 25 * SECONDS
    assert not wrong


@pytest.mark.parametrize(
    ("codec", "suffix", "change_index", "keyed"),
    [
        ([*H264, "-g", "250"], "mp4", remove_sync_table, False),
        ([*H264, "-g", "250"], "mov", remove_sync_table, False),
        ([*HEVC, "-g", "250"], "mp4", remove_sync_table, False),
        ([*H264, "-g", "999"], "mp4", remove_sync_table, True),
        ([*HEVC, "-g", "999"], "mp4", remove_sync_table, True),
        ([*MPEG4, "-g", "250"], "mp4", remove_sync_table, True),
        ([*MPEG4, "-g", "250"], "avi", mark_all_frames, True),
    ],
    ids=["h264", "h264_mov", "hevc", "h264_one_key", "hevc_one_key", "mpeg4", "mpeg4_avi"],
)
def test_pictures_are_right_where_every_frame_is_marked_as_a_key_frame(
    tools: FfmpegBinaries,
    tmp_path: Path,
    codec: Sequence[str],
    suffix: str,
    change_index: Callable[[bytes], bytes],
    keyed: bool,
) -> None:
    video = build_and_inspect(tools, make_source(tools, tmp_path, codec, suffix, change_index), tmp_path)
    assert video.builder.presentation.keyed == keyed
    assert (video.builder.presentation.video.refresh > 0) == (not keyed)
    check_pictures(video)
    alone = VideoBuilder(tmp_path / "alone", video.builder.source, tools)
    alone.probe()
    alone.run_task("segment", 2, "480p")
    assert ffprobe.read_packets(tools, alone.segment_paths()[2]) == video.segments[2]


def test_a_large_video_with_a_wrong_index_is_listed_whole(
    tools: FfmpegBinaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "_MAX_LISTED_BYTES", 0)
    source = make_source(tools, tmp_path, [*H264, "-g", "250"], "mp4", remove_sync_table)
    assert VideoBuilder(tmp_path / "media", source, tools).probe().video.refresh == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ([*H264, "-g", "50"], "mp4"),
        ([*H264, "-g", "50", "-x264-params", "open-gop=1"], "mkv"),
        ([*HEVC, "-g", "50"], "mp4"),
        ([*MPEG4, "-g", "50", "-bf", "2"], "avi"),
        ([*sample_videos.MPEG2, "-bf", "2"], "mkv"),
        ([*sample_videos.VP9[:-2], "-g", "50"], "webm"),
    ],
    ids=["h264", "open_groups", "hevc", "mpeg4", "mpeg2", "vp9"],
)
def test_a_correct_index_is_trusted(tools: FfmpegBinaries, tmp_path: Path, codec: Sequence[str], suffix: str) -> None:
    video = VideoBuilder(tmp_path / "media", make_source(tools, tmp_path, codec, suffix, bytes), tools)
    assert not video.probe().keyed
    assert (video.presentation.video.refresh, video.presentation.remuxed) == (0, False)
