"""The duration of a video is that of its picture and audio, whatever else the file holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import sample_videos
from tests.support.video_builder import VideoBuilder
from transcode.errors import MediaError
from transcode.ffmpeg.binaries import FfmpegBinaries

SUBTITLES = "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n2\n00:00:03,000 --> 30:00:00,000\nFor ever\n"


def _subtitle_chain() -> str:
    """Return subtitles one after another for thirty hours: MP4 cannot hold a single one of that length."""
    hours = [(hour, minute) for hour in range(30) for minute in (0, 30)]
    return "\n".join(f"{n}\n{h:02}:{m:02}:01,000 --> {h:02}:{m + 29:02}:59,000\nOn\n" for n, (h, m) in enumerate(hours))


def with_subtitles(tools: FfmpegBinaries, folder: Path, suffix: str, options: Sequence[str]) -> Path:
    """Write a source of ten seconds whose last subtitle lasts for thirty hours; return its path."""
    text, video = folder / "video.srt", folder / f"video.{suffix}"
    text.write_text(SUBTITLES if suffix == "mkv" else _subtitle_chain())
    maps = ["-map", "0", "-map", "1", "-map", "2"]
    source = [*sample_videos.video_input(seconds=10), *sample_videos.beep_input(10), "-i", str(text)]
    sample_videos.run_ffmpeg(tools, *source, *maps, *sample_videos.H264, *sample_videos.AAC, *options, str(video))
    return video


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("mkv", ["-c:s", "srt"]),
        ("mkv", ["-c:s", "ass"]),
        ("mkv", ["-c:s", "srt", "-live", "1"]),
        ("mp4", ["-c:s", "mov_text"]),
        ("mov", ["-c:s", "mov_text"]),
    ],
    ids=["mkv", "ass", "live_mkv", "mp4", "mov"],
)
def test_a_subtitle_of_many_hours_does_not_make_the_video_longer(
    tools: FfmpegBinaries, tmp_path: Path, suffix: str, options: list[str]
) -> None:
    video = VideoBuilder(tmp_path / "media", with_subtitles(tools, tmp_path, suffix, options), tools)
    assert video.probe().duration == pytest.approx(10, abs=0.1)


def test_durations_of_streams_are_optional(tools: FfmpegBinaries, tmp_path: Path) -> None:
    """As in Matroska files of some programs, whose only duration is that of the whole file."""
    source = with_subtitles(tools, tmp_path, "mkv", ["-c:s", "srt"])
    source.write_bytes(source.read_bytes().replace(b"DURATION", b"DURATI0N"))
    video = VideoBuilder(tmp_path / "media", source, tools)
    assert video.probe().duration == pytest.approx(10, abs=0.1)


def test_a_video_whose_picture_lasts_for_days_is_rejected(tools: FfmpegBinaries, tmp_path: Path) -> None:
    source = tmp_path / "video.mkv"
    slow = ["-vf", "setpts=N*40000/TB", "-fps_mode", "passthrough", *sample_videos.H264, "-bf", "0"]
    sample_videos.run_ffmpeg(tools, *sample_videos.video_input(seconds=0.2), *slow, str(source))
    with pytest.raises(MediaError, match="longer than 24 hours"):
        VideoBuilder(tmp_path / "media", source, tools).probe()
