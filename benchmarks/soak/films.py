"""Small films of several kinds, and files that are none."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transcode.tools import Tools

_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-crf", "28")
_AAC = ("-c:a", "aac", "-b:a", "64k")
_WORDS = "1\n00:00:01,000 --> 00:00:03,000\nHello\n\n2\n00:00:09,000 --> 00:00:12,000\nagain\n"


@dataclass(frozen=True, slots=True)
class Kind:
    """A file: what becomes of it is a film of so many seconds, or a refusal that begins with this sentence."""

    name: str
    path: Path
    seconds: float = 0
    sentence: str = ""


def make(tools: Tools, folder: Path) -> list[Kind]:
    """All kinds, those that are films first."""
    folder.mkdir(exist_ok=True)
    (folder / "words.srt").write_text(_WORDS)
    films = [_film(tools, folder, *recipe) for recipe in _recipes(folder / "words.srt")]
    return [*films, *_refused(folder, films[0].path)]


def _recipes(words: Path) -> list[tuple[str, float, Sequence[str]]]:
    tone = ("-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000")
    both = ("-map", "0:v", "-map", "1:a")
    more = ("-map", "2:a", "-map", "3:s", "-c:s", "srt")
    return [
        ("short.mp4", 3, [*_picture(64, 36), *tone, *both, *_X264, *_AAC]),
        ("plain.mp4", 30, [*_picture(320, 180), *tone, *both, *_X264, "-g", "50", *_AAC]),
        ("long.mp4", 100, [*_picture(128, 72), *tone, *both, *_X264, "-g", "100", *_AAC]),
        ("silent.mp4", 13, [*_picture(320, 180), *_X264, "-g", "30"]),
        ("sparse.mp4", 70, [*_picture(64, 36), *tone, *both, *_X264, "-g", "9999", "-sc_threshold", "0", *_AAC]),
        ("broadcast.ts", 24, [*_picture(160, 90), *tone, *both, *_X264, "-g", "50", *_AAC]),
        ("tracks.mkv", 20, [*_picture(160, 90), *tone, *tone, "-i", str(words), *both, *more, *_X264, *_AAC]),
    ]


def _picture(width: int, height: int) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate=25")


def _film(tools: Tools, folder: Path, name: str, seconds: float, arguments: Sequence[str]) -> Kind:
    place = folder / name
    command = [tools.ffmpeg, "-nostdin", "-v", "error", "-y", *arguments, "-t", str(seconds), str(place)]
    subprocess.run(command, check=True)
    return Kind(name, place, seconds=seconds)


def _refused(folder: Path, film: Path) -> list[Kind]:
    whole = film.read_bytes()
    contents = {
        "list.mp4": (f"ffconcat version 1.0\nfile {film}\n".encode(), "This file is not a film"),
        "half.mp4": (whole[: len(whole) // 2], "This film is incomplete"),
        "noise.ts": (b"".join(b"G" + bytes(187) for _ in range(400)) + os.urandom(400_000), "This film is damaged"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    return [Kind(name, folder / name, sentence=sentence) for name, (_, sentence) in contents.items()]
