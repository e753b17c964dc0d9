"""Colours and levels: published videos look like their sources on every screen, and HDR is tone-mapped."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.support import ffprobe, sample_videos
from tests.support.ffprobe import DecodedPlaylist
from tests.support.sample_videos import PATCH_SIZE, PATCHES, colour_tags, patches
from tests.support.video_builder import VideoBuilder
from transcode.ffmpeg import video_filters
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.grid import Grid
from transcode.ladder import build_ladder
from transcode.presentation import Presentation, VideoTrack
from transcode.probe.source import Source


def pq(nits: float) -> float:
    """Return the signal (0..1) for an absolute luminance (SMPTE ST 2084)."""
    power = (nits / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def hlg(light: float) -> float:
    """Return the signal (0..1) for scene light (0..1) (ARIB STD-B67)."""
    return math.sqrt(3 * light) if light <= 1 / 12 else 0.17883277 * math.log(12 * light - 0.28466892) + 0.55991073


def hdr_video(
    tools: FfmpegBinaries, folder: Path, transfer: str, signals: Sequence[float]
) -> tuple[VideoBuilder, DecodedPlaylist]:
    """Build and decode a video with one frame per signal, in HEVC with 10 bits."""
    source = folder / "hdr.mkv"
    luma = "+".join(f"eq(N,{number})*{round(64 + 876 * signal)}" for number, signal in enumerate(signals))
    tags = ["-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc"]
    x265 = f"log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    sample_videos.run_ffmpeg(
        tools, "-f", "lavfi", "-i",
        f"nullsrc=s=64x36:r=10:d={len(signals) / 10},format=yuv420p10le,geq=lum='{luma}':cb=512:cr=512",
        "-c:v", "libx265", "-preset", "ultrafast", "-crf", "2", "-x265-params", x265, "-pix_fmt", "yuv420p10le",
        *tags, str(source),
    )  # fmt: skip
    video = VideoBuilder(folder / "media", source, tools)
    video.probe()
    video.encode_chunks()
    return video, ffprobe.decode_playlist(tools, video.folder / "480p" / "index.m3u8", folder, sound=False)


@pytest.mark.parametrize(
    ("transfer", "signals"),
    [
        ("smpte2084", [pq(nits) for nits in (0, 1, 10, 100, 203, 1000)]),
        ("arib-std-b67", [hlg(light) for light in (0, 0.01, 0.05, 0.15, 0.26, 1)]),
    ],
    ids=["hdr10", "hlg"],
)
def test_hdr_is_tone_mapped(tools: FfmpegBinaries, tmp_path: Path, transfer: str, signals: list[float]) -> None:
    """White of a page is 203 nits in HDR10 and 75 per cent of an HLG signal (ITU-R BT.2408), and near white in SDR."""
    video, played = hdr_video(tools, tmp_path, transfer, signals)
    assert video.presentation.video.is_hdr
    black, *greys, white, glare = played.luma
    assert black <= 17
    assert greys == sorted(greys)
    assert 170 <= white <= 215
    assert glare >= 225
    if transfer == "smpte2084":  # interpreted as SDR, the picture would be grey
        assert white > 16 + 219 * signals[-2] + 30
    asked = "stream=pix_fmt,color_range,color_space,color_transfer,color_primaries"
    tags = ffprobe.run_ffprobe(
        tools, "-show_entries", asked, "-of", "default=nw=1", str(video.segment_paths()[0])
    ).split()
    assert set(tags) == {
        "pix_fmt=yuv420p", "color_range=tv", "color_space=bt709", "color_transfer=bt709", "color_primaries=bt709",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "luma"),
    [
        (["color=red:s=64x36:d=0.4", "-c:v", "ffv1", "-pix_fmt", "bgr0"], 63),
        (["color=white:s=64x36:d=0.4", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "2"], 235),
        (["color=white:s=64x36:d=0.4,format=yuvj420p", "-c:v", "libx264", "-pix_fmt", "yuvj420p"], 235),
        (["color=white:s=64x36:d=0.4,format=yuv422p10le", "-c:v", "ffv1"], 235),
    ],
    ids=["rgb", "mjpeg", "full_range", "422_10bit"],
)
def test_levels_are_those_of_television(tools: FfmpegBinaries, tmp_path: Path, options: list[str], luma: int) -> None:
    source = tmp_path / "video.mkv"
    sample_videos.run_ffmpeg(tools, "-f", "lavfi", "-i", *options, str(source))
    video = VideoBuilder(tmp_path / "media", source, tools)
    video.probe()
    video.encode_chunks()
    played = ffprobe.decode_playlist(tools, video.folder / "480p" / "index.m3u8", tmp_path, sound=False)
    assert all(abs(actual - luma) <= 1 for actual in played.luma)


_COLOUR_TAGS = ("color_space", "color_primaries", "color_transfer", "color_range")


def published_colours(
    tools: FfmpegBinaries, source: Path, folder: Path
) -> tuple[list[tuple[int, ...]], dict[str, str]]:
    """Return the patches as shown by a player that regards only matrix and levels, and all colour tags."""
    video = VideoBuilder(folder / "media", source, tools)
    video.probe()
    video.encode_chunks()
    (segment,) = video.segment_paths()
    entries = [
        "-select_streams",
        "v",
        "-show_entries",
        f"stream={','.join(_COLOUR_TAGS)}",
        "-of",
        "default=nw=1",
        "-f",
        "mpegts",
    ]
    tags = dict(line.split("=") for line in ffprobe.run_ffprobe(tools, *entries, str(segment)).split())
    command = [tools.ffmpeg, "-v", "error", "-f", "mpegts", "-i", str(segment), "-frames:v", "1", "-f", "rawvideo"]
    command += ["-vf", "scale=flags=accurate_rnd+full_chroma_int", "-pix_fmt", "rgb24", "-"]
    pixels = subprocess.run(command, capture_output=True, check=True, env=ffprobe.ENVIRONMENT).stdout
    row = PATCH_SIZE // 2 * PATCH_SIZE * len(PATCHES)
    offsets = [3 * (row + PATCH_SIZE * number + PATCH_SIZE // 2) for number in range(len(PATCHES))]
    return [tuple(pixels[offset : offset + 3]) for offset in offsets], tags


def check_colours(actual: Sequence[tuple[int, ...]], expected: Sequence[tuple[int, ...]] = PATCHES) -> None:
    """Assert that colours differ by no more than 3 of 255."""
    differences = [
        max(abs(a - b) for a, b in zip(*colours, strict=True)) for colours in zip(actual, expected, strict=True)
    ]
    assert max(differences) <= 3, f"{actual} instead of {expected}"


def check_tags(tags: dict[str, str]) -> None:
    """Assert that the tags are those that every player understands."""
    assert tags["color_space"] in ("bt709", "smpte170m")
    assert (tags["color_primaries"], tags["color_transfer"], tags["color_range"]) == ("bt709", "bt709", "tv")


@pytest.mark.parametrize("levels", ["tv", "pc"])
@pytest.mark.parametrize(
    "matrix", ["bt709", "bt470bg", "smpte170m", "smpte240m", "fcc", "ycgco", "bt2020nc", "bt2020c"]
)
def test_colours_of_every_matrix_and_range_are_kept(
    tools: FfmpegBinaries, tmp_path: Path, matrix: str, levels: str
) -> None:
    source = tmp_path / "video.mkv"
    converted = f"zscale=m={matrix}:r={'limited' if levels == 'tv' else 'full'}:tin=bt709:t=bt709:pin=bt709:p=bt709"
    codec = ["-c:v", "libx264", "-qp", "1", "-pix_fmt", "yuv444p"]
    sample_videos.run_ffmpeg(
        tools,
        *patches(f"{converted},format=yuv444p"),
        *codec,
        *colour_tags(matrix, "bt709", "bt709", levels),
        str(source),
    )
    colours, tags = published_colours(tools, source, tmp_path)
    check_tags(tags)
    check_colours(colours)


@pytest.mark.parametrize("transfer", ["gamma22", "gamma28", "smpte170m", "smpte240m", "iec61966-2-1", "unknown"])
@pytest.mark.parametrize("primaries", ["bt709", "bt470bg", "smpte170m", "bt470m", "unknown"])
def test_colours_are_kept_whatever_transfer_is_tagged(
    tools: FfmpegBinaries, tmp_path: Path, primaries: str, transfer: str
) -> None:
    source = tmp_path / "video.mp4"
    codec = ["-c:v", "libx264", "-qp", "1", "-pix_fmt", "yuv420p"]
    converted = patches("zscale=m=bt470bg:r=limited,format=yuv420p")
    sample_videos.run_ffmpeg(tools, *converted, *codec, *colour_tags("bt470bg", primaries, transfer, "tv"), str(source))
    colours, tags = published_colours(tools, source, tmp_path)
    check_tags(tags)
    check_colours(colours)


@pytest.mark.parametrize("primaries", ["bt2020", "smpte432", "smpte431"])
@pytest.mark.parametrize("form", ["yuv420p10le", "gbrp"])
def test_colours_of_a_wide_gamut_become_those_of_bt709(
    tools: FfmpegBinaries, tmp_path: Path, primaries: str, form: str
) -> None:
    source, matrix = tmp_path / "video.mkv", "bt2020nc" if primaries == "bt2020" else "bt709"
    widened = f"zscale=tin=bt709:t=bt709:pin=bt709:p={primaries}"
    widened += f":m={matrix}:r=limited" if form == "yuv420p10le" else ""
    coded = colour_tags(
        matrix if form == "yuv420p10le" else "rgb", primaries, "bt709", "tv" if form != "gbrp" else "pc"
    )
    sample_videos.run_ffmpeg(tools, *patches(f"{widened},format={form}"), "-c:v", "ffv1", *coded, str(source))
    colours, tags = published_colours(tools, source, tmp_path)
    check_tags(tags)
    check_colours(colours)


@pytest.mark.parametrize(
    ("form", "codec", "suffix"),
    [
        ("yuvj420p", "mjpeg", "avi"),
        ("yuvj422p", "mjpeg", "mov"),
        ("yuv411p", "ffv1", "mkv"),
        ("yuv440p", "ffv1", "mkv"),
        ("yuv422p12le", "ffv1", "mkv"),
        ("yuva444p", "ffv1", "mkv"),
        ("yuva444p10le", "prores_ks", "mov"),
        ("argb", "qtrle", "mov"),
        ("rgb24", "qtrle", "mov"),
        ("rgb555le", "rawvideo", "avi"),
        ("bgr24", "rawvideo", "avi"),
        ("bgra", "huffyuv", "avi"),
        ("gbrp", "utvideo", "avi"),
        ("rgb24", "png", "mov"),
        ("rgba", "png", "mov"),
        ("gbrp12le", "ffv1", "mkv"),
        ("gbrap", "ffv1", "mkv"),
    ],
)
def test_colours_of_every_pixel_format_are_kept(
    tools: FfmpegBinaries, tmp_path: Path, form: str, codec: str, suffix: str
) -> None:
    source = tmp_path / f"video.{suffix}"
    best = {"mjpeg": ["-q:v", "1"], "prores_ks": ["-profile:v", "4444"]}.get(codec, [])
    sample_videos.run_ffmpeg(tools, *patches(), "-c:v", codec, *best, "-pix_fmt", form, str(source))
    colours, tags = published_colours(tools, source, tmp_path)
    check_tags(tags)
    if form in ("rgb555le", "pal8"):  # few shades
        assert all(abs(a - b) <= 8 for pair in zip(colours, PATCHES, strict=True) for a, b in zip(*pair, strict=True))
    else:
        check_colours(colours)


def test_colours_of_a_palette_are_kept(tools: FfmpegBinaries, tmp_path: Path) -> None:
    source = tmp_path / "video.mov"
    paletted = "split[a][b];[a]palettegen=reserve_transparent=0[p];[b][p]paletteuse=dither=none"
    sample_videos.run_ffmpeg(tools, *patches(paletted), "-c:v", "png", "-pix_fmt", "pal8", str(source))
    colours, tags = published_colours(tools, source, tmp_path)
    check_tags(tags)
    check_colours(colours)


@pytest.mark.parametrize(
    ("form", "codec", "suffix", "levels"),
    [
        ("gray", "ffv1", "mkv", []),
        ("gray10le", "ffv1", "mkv", []),
        ("gray", "rawvideo", "avi", []),
        ("gray", "png", "mov", []),
        ("gray", "qtrle", "mov", []),
        ("gray", "libx264", "mp4", []),
        ("gray", "libx264", "mp4", ["-color_range", "pc"]),
        ("gray", "mjpeg", "avi", []),
    ],
)
def test_greys_of_videos_without_colours_are_kept(
    tools: FfmpegBinaries, tmp_path: Path, form: str, codec: str, suffix: str, levels: list[str]
) -> None:
    source = tmp_path / f"video.{suffix}"
    sample_videos.run_ffmpeg(tools, *patches(), "-c:v", codec, "-pix_fmt", form, *levels, str(source))
    colours, _ = published_colours(tools, source, tmp_path)
    check_colours(colours[:2], PATCHES[:2])


@pytest.mark.parametrize("form", ["monob", "monow"])
def test_black_and_white_stay_black_and_white(tools: FfmpegBinaries, tmp_path: Path, form: str) -> None:
    source = tmp_path / "video.avi"
    stripes = "geq=lum='255*mod(trunc(X/32),2)':cb=128:cr=128"
    half = ["-f", "lavfi", "-i", f"color=s=224x32:r=5:d=0.4,format=yuvj420p,{stripes},format={form}"]
    sample_videos.run_ffmpeg(tools, *half, "-c:v", "rawvideo", str(source))
    colours, _ = published_colours(tools, source, tmp_path)
    check_colours(colours, [(255 * (place % 2),) * 3 for place in range(len(PATCHES))])


def tagged_track(width: int, height: int, **fields: Any) -> VideoTrack:
    return VideoTrack(0, width, height, plain_tags=True, **fields)


def published_matrix(video: VideoTrack) -> str:
    fps = Fraction(25)
    timeline = Presentation(Grid(fps, 100), build_ladder(video.width, video.height, fps), video)
    return video_filters.color_tags(timeline)[1]


def test_a_picture_without_colour_tags_is_read_as_players_read_it() -> None:
    assert published_matrix(tagged_track(720, 576)) == "smpte170m"
    assert published_matrix(tagged_track(1280, 720)) == "bt709"
    assert published_matrix(tagged_track(720, 1280)) == "bt709"
    assert published_matrix(tagged_track(640, 480, pixel_format="rgb24")) == "bt709"
    assert published_matrix(tagged_track(1280, 720, primaries="bt470bg")) == "smpte170m"
    assert published_matrix(tagged_track(640, 480, primaries="bt709")) == "bt709"


def test_a_tagged_matrix_is_kept() -> None:
    assert published_matrix(tagged_track(1920, 1080, matrix="bt470bg")) == "smpte170m"  # the same by another name
    assert published_matrix(tagged_track(640, 480, matrix="bt709")) == "bt709"
    assert published_matrix(tagged_track(640, 480, matrix="bt2020nc", transfer="smpte2084")) == "bt709"


def test_a_video_in_dolby_visions_own_colours_has_a_warning() -> None:
    record = {"side_data_type": "DOVI configuration record", "dv_profile": 5, "dv_bl_signal_compatibility_id": 0}
    picture = {"index": 0, "codec_type": "video", "codec_name": "hevc", "side_data_list": [record]}
    assert "Dolby Vision" in Source({}, [picture]).warning
    record["dv_bl_signal_compatibility_id"] = 4  # from telephones, whose picture is HLG to other players
    assert Source({}, [picture]).warning == ""
