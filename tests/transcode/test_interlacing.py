"""Interlaced sources of every kind are deinterlaced: each published picture is that of the first field."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import ffprobe, sample_videos
from tests.support.sample_videos import luma_of
from tests.support.video_builder import VideoBuilder
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.probe import checks

TOP, BOTTOM = "interleave_top,setfield=tff", "interleave_bottom,setfield=bff"
DV = ("-c:v", "dvvideo", "-flags", "+ildct+ilme")
MPEG4 = (*sample_videos.MPEG4, "-flags", "+ildct+ilme")
H264 = (*sample_videos.H264, "-flags", "+ildct+ilme")
MPEG2 = (*sample_videos.MPEG2, "-flags", "+ildct+ilme")
PRORES = ("-c:v", "prores_ks", "-flags", "+ildct")
PAL, NTSC, SMALL = "720x576", "720x480", "64x64"


def interlaced_input(size: str, order: str, rate: str = "50") -> list[str]:
    """Return an input whose fields are numbered pictures: every frame is a comb of two shades of grey."""
    return sample_videos.video_input(rate, 1.6, size, filters=f"format=yuv420p,tinterlace={order}")


def check_fields(tools: FfmpegBinaries, video: VideoBuilder, folder: Path) -> None:
    """Assert that every published frame is flat, and as bright as its first field."""
    playlist = video.folder / "480p" / "index.m3u8"
    pictures = folder / "pictures.raw"
    command = [tools.ffmpeg, "-v", "error", "-y", "-i", str(playlist), "-map", "0:v", "-vf", "scale=2:16:flags=area"]
    command += ["-pix_fmt", "yuv420p", "-fps_mode", "passthrough", "-f", "rawvideo", str(pictures)]
    subprocess.run(command, check=True, env=ffprobe.ENVIRONMENT)
    data = pictures.read_bytes()
    frames = [data[start : start + 32] for start in range(0, len(data), 48)]
    assert len(frames) == video.presentation.grid.frame_count
    for number, frame in enumerate(frames):
        assert abs(frame[16] - luma_of(2 * number)) <= 6, number
        assert max(frame) - min(frame) <= 8, number


@pytest.mark.parametrize(
    ("size", "order", "rate", "codec", "suffix"),
    [
        (PAL, BOTTOM, "50", [*DV, "-pix_fmt", "yuv420p"], "avi"),
        (PAL, BOTTOM, "50", [*DV, "-pix_fmt", "yuv420p"], "mov"),
        (PAL, BOTTOM, "50", [*DV, "-pix_fmt", "yuv420p"], "mkv"),
        (NTSC, BOTTOM, "60000/1001", [*DV, "-pix_fmt", "yuv411p"], "avi"),
        (SMALL, TOP, "50", [*MPEG4, "-top", "1"], "avi"),
        (SMALL, BOTTOM, "50", [*MPEG4, "-top", "0"], "avi"),
        (SMALL, TOP, "50", [*H264, "-top", "1"], "mp4"),
        (SMALL, BOTTOM, "50", [*H264, "-top", "0"], "mkv"),
        (SMALL, TOP, "50", [*H264, "-top", "1"], "ts"),
        (SMALL, TOP, "50", [*MPEG2, "-top", "1"], "ts"),
        (SMALL, BOTTOM, "50", [*MPEG2, "-top", "0"], "mkv"),
        (SMALL, TOP, "50", [*PRORES, "-top", "1"], "mov"),
    ],
    ids=[
        "dv_avi", "dv_mov", "dv_mkv", "dv_ntsc", "mpeg4_top", "mpeg4_bottom", "h264_top", "h264_bottom", "h264_ts",
        "mpeg2_top", "mpeg2_bottom", "prores",
    ],
)  # fmt: skip
def test_interlaced_material_is_deinterlaced_in_the_order_of_its_fields(
    tools: FfmpegBinaries, tmp_path: Path, size: str, order: str, rate: str, codec: Sequence[str], suffix: str
) -> None:
    source = tmp_path / f"video.{suffix}"
    sample_videos.run_ffmpeg(tools, *interlaced_input(size, order, rate), *codec, str(source))
    video = VideoBuilder(tmp_path / "media", source, tools)
    assert video.probe().video.interlaced
    video.encode_chunks()
    check_fields(tools, video, tmp_path)


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_fields_that_are_coded_as_pictures_are_put_together(tools: FfmpegBinaries, tmp_path: Path, suffix: str) -> None:
    """As in interlaced HEVC, which decodes to twice as many pictures of half the height."""
    source = tmp_path / f"video.{suffix}"
    separated = sample_videos.video_input(
        "50", 1.6, "64x128", filters=f"format=yuv420p,tinterlace={TOP},separatefields"
    )
    x265 = ["-c:v", "libx265", "-preset", "ultrafast", "-crf", "4", "-x265-params", "log-level=none:interlace=tff"]
    sample_videos.run_ffmpeg(tools, *separated, *x265, str(source))
    video = VideoBuilder(tmp_path / "media", source, tools)
    timeline = video.probe()
    assert (timeline.grid.fps, timeline.top_rendition.width, timeline.top_rendition.height) == (25, 64, 128)
    video.encode_chunks()
    check_fields(tools, video, tmp_path)


@pytest.mark.parametrize(
    ("order", "top", "codec", "suffix", "size"),
    [
        (TOP, "1", "huffyuv", "avi", PAL),
        (BOTTOM, "0", "huffyuv", "avi", NTSC),
        (TOP, "1", "utvideo", "mkv", "64x64"),
    ],
    ids=["compared_top", "compared_bottom", "container"],
)
def test_captured_video_without_flags_is_deinterlaced(
    tools: FfmpegBinaries, tmp_path: Path, order: str, top: str, codec: str, suffix: str, size: str
) -> None:
    source = tmp_path / f"video.{suffix}"
    lossless = ["-c:v", codec, "-pix_fmt", "yuv422p", "-flags", "+ildct+ilme", "-top", top]
    sample_videos.run_ffmpeg(tools, *interlaced_input(size, order), *lossless, str(source))
    video = VideoBuilder(tmp_path / "media", source, tools)
    assert video.probe().video.parity == order[-3:]
    video.encode_chunks()
    check_fields(tools, video, tmp_path)


def test_captured_video_that_is_progressive_stays_so(tools: FfmpegBinaries, tmp_path: Path) -> None:
    source = tmp_path / "video.avi"
    sample_videos.run_ffmpeg(
        tools, *sample_videos.video_input(seconds=1, size=PAL), "-c:v", "huffyuv", "-pix_fmt", "yuv422p", str(source)
    )
    assert not VideoBuilder(tmp_path / "media", source, tools).probe().video.interlaced


def test_interlaced_material_without_key_frames_is_deinterlaced_too(
    tools: FfmpegBinaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_MAX_KEY_FRAME_DISTANCE", 20)
    source = tmp_path / "video.mp4"
    sample_videos.run_ffmpeg(tools, *interlaced_input(SMALL, TOP), *H264, "-top", "1", "-g", "999", str(source))
    video = VideoBuilder(tmp_path / "media", source, tools)
    assert video.probe().keyed
    video.encode_chunks()
    check_fields(tools, video, tmp_path)


@pytest.mark.parametrize(
    ("codec", "suffix"), [(sample_videos.H264, "mp4"), (sample_videos.MPEG2, "ts"), (sample_videos.MPEG4, "avi")]
)
def test_progressive_videos_are_not_deinterlaced(
    tools: FfmpegBinaries, tmp_path: Path, codec: Sequence[str], suffix: str
) -> None:
    source = tmp_path / f"video.{suffix}"
    sample_videos.run_ffmpeg(tools, *sample_videos.video_input(seconds=1.6), *codec, str(source))
    assert not VideoBuilder(tmp_path / "media", source, tools).probe().video.interlaced


def test_a_video_that_is_interlaced_in_its_last_part_is_deinterlaced(tools: FfmpegBinaries, tmp_path: Path) -> None:
    parts = [tmp_path / "first.ts", tmp_path / "second.ts"]
    sample_videos.run_ffmpeg(
        tools, *sample_videos.video_input(seconds=4, size=SMALL), *sample_videos.MPEG2, str(parts[0])
    )
    again = [*interlaced_input(SMALL, TOP), *MPEG2, "-top", "1", "-output_ts_offset", "4", str(parts[1])]
    sample_videos.run_ffmpeg(tools, *again)
    source = tmp_path / "video.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    timeline = VideoBuilder(tmp_path / "media", source, tools).probe()
    assert timeline.video.interlaced
    assert (timeline.keyed, timeline.video.refresh) == (False, 0)  # two packets have one time at the splice
