"""Sample files: small videos of several kinds, and invalid files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transcode.ffmpeg.binaries import FfmpegBinaries

_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-crf", "28")
_AAC = ("-c:a", "aac", "-b:a", "64k")
_SUBTITLES = "1\n00:00:01,000 --> 00:00:03,000\nHello\n\n2\n00:00:09,000 --> 00:00:12,000\nagain\n"


@dataclass(frozen=True, slots=True)
class SampleFile:
    """A file and its expected result: a video of a duration in seconds, or an error that begins with this sentence."""

    name: str
    path: Path
    duration_s: float = 0
    expected_error: str = ""


def make_samples(binaries: FfmpegBinaries, folder: Path) -> list[SampleFile]:
    """Return all samples, valid videos first."""
    folder.mkdir(exist_ok=True)
    (folder / "words.srt").write_text(_SUBTITLES)
    videos = [_make_video(binaries, folder, *recipe) for recipe in _recipes(folder / "words.srt")]
    return [*videos, *_make_invalid_files(folder, videos[0].path)]


def _recipes(subtitles_path: Path) -> list[tuple[str, float, Sequence[str]]]:
    tone = ("-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000")
    both = ("-map", "0:v", "-map", "1:a")
    more = ("-map", "2:a", "-map", "3:s", "-c:s", "srt")
    return [
        ("short.mp4", 3, [*_test_picture(64, 36), *tone, *both, *_X264, *_AAC]),
        ("plain.mp4", 30, [*_test_picture(320, 180), *tone, *both, *_X264, "-g", "50", *_AAC]),
        ("long.mp4", 100, [*_test_picture(128, 72), *tone, *both, *_X264, "-g", "100", *_AAC]),
        # More segments than a storyboard has pictures.
        ("hours.mkv", 4920, ["-f", "lavfi", "-i", "testsrc2=size=64x36:rate=1", *_X264, "-g", "4"]),
        ("silent.mp4", 13, [*_test_picture(320, 180), *_X264, "-g", "30"]),
        ("sparse.mp4", 70, [*_test_picture(64, 36), *tone, *both, *_X264, "-g", "9999", "-sc_threshold", "0", *_AAC]),
        ("broadcast.ts", 24, [*_test_picture(160, 90), *tone, *both, *_X264, "-g", "50", *_AAC]),
        (
            "tracks.mkv",
            20,
            [*_test_picture(160, 90), *tone, *tone, "-i", str(subtitles_path), *both, *more, *_X264, *_AAC],
        ),
    ]


def _test_picture(width: int, height: int) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate=25")


def _make_video(
    binaries: FfmpegBinaries, folder: Path, name: str, duration_s: float, arguments: Sequence[str]
) -> SampleFile:
    place = folder / name
    command = [binaries.ffmpeg, "-nostdin", "-v", "error", "-y", *arguments, "-t", str(duration_s), str(place)]
    subprocess.run(command, check=True)
    return SampleFile(name, place, duration_s=duration_s)


def _make_invalid_files(folder: Path, video_path: Path) -> list[SampleFile]:
    whole = video_path.read_bytes()
    contents = {
        "list.mp4": (f"ffconcat version 1.0\nfile {video_path}\n".encode(), "This file is not a video"),
        "half.mp4": (whole[: len(whole) // 2], "This video is incomplete"),
        "noise.ts": (b"".join(b"G" + bytes(187) for _ in range(400)) + os.urandom(400_000), "This video is damaged"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    return [SampleFile(name, folder / name, expected_error=sentence) for name, (_, sentence) in contents.items()]
