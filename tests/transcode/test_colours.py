"""Colours and levels: what every screen shows, and no washed-out HDR."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from tests.support import ffprobe, sample_videos
from tests.support.ffprobe import DecodedPlaylist
from tests.support.video_builder import VideoBuilder
from transcode.grid import Grid
from transcode.ladder import ladder
from transcode.plans import picture
from transcode.source.description import Source
from transcode.timeline import Timeline, VideoTrack
from transcode.tools import Tools


def pq(nits: float) -> float:
    """SMPTE ST 2084: the signal (0..1) for an absolute brightness."""
    power = (nits / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def hlg(light: float) -> float:
    """ARIB STD-B67: the signal (0..1) for light of the scene (0..1)."""
    return math.sqrt(3 * light) if light <= 1 / 12 else 0.17883277 * math.log(12 * light - 0.28466892) + 0.55991073


def hdr_film(
    tools: Tools, folder: Path, transfer: str, signals: Sequence[float]
) -> tuple[VideoBuilder, DecodedPlaylist]:
    """One frame per signal, in HEVC with 10 bits."""
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
    film = VideoBuilder(folder / "media", source, tools)
    film.probe()
    film.encode_chunks()
    return film, ffprobe.decode_playlist(tools, film.folder / "480p" / "index.m3u8", folder, sound=False)


@pytest.mark.parametrize(
    ("transfer", "signals"),
    [
        ("smpte2084", [pq(nits) for nits in (0, 1, 10, 100, 203, 1000)]),
        ("arib-std-b67", [hlg(light) for light in (0, 0.01, 0.05, 0.15, 0.26, 1)]),
    ],
    ids=["hdr10", "hlg"],
)
def test_hdr_is_tone_mapped(tools: Tools, tmp_path: Path, transfer: str, signals: list[float]) -> None:
    """White of a page is 203 nits in HDR10 and 75 per cent of an HLG signal (ITU-R BT.2408), and near white in SDR."""
    film, played = hdr_film(tools, tmp_path, transfer, signals)
    assert film.timeline.video.hdr
    black, *greys, white, glare = played.luma
    assert black <= 17
    assert greys == sorted(greys)
    assert 170 <= white <= 215
    assert glare >= 225
    if transfer == "smpte2084":  # taken for SDR, the picture would be grey
        assert white > 16 + 219 * signals[-2] + 30
    asked = "stream=pix_fmt,color_range,color_space,color_transfer,color_primaries"
    tags = ffprobe.run_ffprobe(
        tools, "-show_entries", asked, "-of", "default=nw=1", str(film.segment_paths()[0])
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
def test_levels_are_those_of_television(tools: Tools, tmp_path: Path, options: list[str], luma: int) -> None:
    source = tmp_path / "film.mkv"
    sample_videos.run_ffmpeg(tools, "-f", "lavfi", "-i", *options, str(source))
    film = VideoBuilder(tmp_path / "media", source, tools)
    film.probe()
    film.encode_chunks()
    played = ffprobe.decode_playlist(tools, film.folder / "480p" / "index.m3u8", tmp_path, sound=False)
    assert all(abs(found - luma) <= 1 for found in played.luma)


def tagged(video: VideoTrack) -> str:
    fps = Fraction(25)
    timeline = Timeline(Grid(fps, 100), ladder(video.width, video.height, fps), video)
    return picture.colour_tags(timeline)[1]


def test_what_says_nothing_of_its_colours_is_taken_as_players_take_it() -> None:
    assert tagged(VideoTrack(0, 720, 576)) == "smpte170m"
    assert tagged(VideoTrack(0, 1280, 720)) == "bt709"
    assert tagged(VideoTrack(0, 720, 1280)) == "bt709"
    assert tagged(VideoTrack(0, 640, 480, pixel_format="rgb24")) == "bt709"


def test_what_says_its_colours_keeps_them() -> None:
    assert tagged(VideoTrack(0, 1920, 1080, matrix="bt470bg")) == "bt470bg"
    assert tagged(VideoTrack(0, 640, 480, matrix="bt709")) == "bt709"
    assert tagged(VideoTrack(0, 640, 480, matrix="bt2020nc", transfer="smpte2084")) == "bt709"


def test_a_video_in_dolby_visions_own_colours_has_a_warning() -> None:
    record = {"side_data_type": "DOVI configuration record", "dv_profile": 5, "dv_bl_signal_compatibility_id": 0}
    picture = {"index": 0, "codec_type": "video", "codec_name": "hevc", "side_data_list": [record]}
    assert "Dolby Vision" in Source({}, [picture]).warning
    record["dv_bl_signal_compatibility_id"] = 4  # of telephones, whose picture is HLG for everybody else
    assert Source({}, [picture]).warning == ""
