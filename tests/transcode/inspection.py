"""What is really in published files, as ffprobe and ffmpeg see it."""

from __future__ import annotations

import array
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from tests.transcode.studio import Studio
from transcode.tools import Tools

CLOCK = 90_000
CLOCK_START = 10  # seconds at which film time 0 lies
RATE = 48_000
AAC_FRAME = 1024  # samples; as many are heard before film time 0

# A static ffmpeg looks for character sets of the system's C library; see `transcode.runner`.
ENVIRONMENT = {**os.environ, "GCONV_PATH": "/nonexistent", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class Segment:
    """Packets of one file in their order; times in ticks from film time 0."""

    shown: list[int]
    decoded: list[int]
    key_frames: list[int]  # places in `shown`
    sound: list[int]


@dataclass(frozen=True, slots=True)
class Played:
    """A playlist played from end to end: mean luma per frame, mono samples, and all that ffmpeg complained of."""

    luma: bytes
    samples: array.array[int]
    complaints: str


@dataclass(frozen=True, slots=True)
class Film:
    """A finished film, its segments of the smallest rendition, and how it plays."""

    studio: Studio
    segments: list[Segment]
    played: Played


def look_at(tools: Tools, source: Path, folder: Path) -> Film:
    """Make a film of a source, and look at it closely."""
    studio = Studio(folder / "media", source, tools)
    studio.make()
    segments = [segment(tools, file) for file in studio.segments()]
    playlist = studio.folder / "480p" / "index.m3u8"
    return Film(studio, segments, play(tools, playlist, folder, sound=bool(studio.timeline.audio)))


def ask(tools: Tools, *arguments: str) -> str:
    """ffprobe's answer."""
    command = [tools.ffprobe, "-v", "error", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=ENVIRONMENT).stdout


def segment(tools: Tools, file: Path) -> Segment:
    """Look at one file."""
    entries = "packet=codec_type,pts,dts,flags"
    packets = json.loads(ask(tools, "-of", "json", "-show_packets", "-show_entries", entries, str(file)))["packets"]
    video = [packet for packet in packets if packet["codec_type"] == "video"]
    start = CLOCK_START * CLOCK
    return Segment(
        [packet["pts"] - start for packet in video],
        [packet["dts"] - start for packet in video],
        [place for place, packet in enumerate(video) if "K" in packet["flags"]],
        [packet["pts"] - start for packet in packets if packet["codec_type"] == "audio"],
    )


def play(tools: Tools, playlist: Path, folder: Path, *, sound: bool) -> Played:
    """Play it."""
    pictures, samples = folder / "pictures.raw", folder / "samples.raw"
    command = [
        tools.ffmpeg, "-v", "warning", "-nostdin", "-y", "-i", str(playlist),
        "-map", "0:v", "-vf", "scale=2:2:flags=area", "-pix_fmt", "yuv420p", "-fps_mode", "passthrough",
        "-f", "rawvideo", str(pictures),
        *(["-map", "0:a", "-f", "s16le", "-ac", "1", str(samples)] if sound else []),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=ENVIRONMENT)
    complaints = [line for line in done.stderr.splitlines() if "low score" not in line]  # said of very short files
    return Played(pictures.read_bytes()[::6], _samples(samples) if sound else array.array("h"), "\n".join(complaints))


def samples_of(tools: Tools, *source: str) -> array.array[int]:
    """All samples of a file's sound, two channels after each other."""
    command = [tools.ffmpeg, "-v", "error", "-nostdin", *source, "-map", "0:a", "-f", "s16le", "-"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, env=ENVIRONMENT)
    found = array.array("h")
    found.frombytes(done.stdout)
    return found


def _samples(file: Path) -> array.array[int]:
    found = array.array("h")
    found.frombytes(file.read_bytes())
    return found


def onsets(samples: Sequence[int]) -> list[float]:
    """Film times at which a beep begins: loud after at least a third of a second of silence."""
    found, quiet = [], RATE
    for place, sample in enumerate(samples):
        if -3000 < sample < 3000:
            quiet += 1
            continue
        if quiet > RATE / 3:
            found.append((place - AAC_FRAME) / RATE)
        quiet = 0
    return found


def ticks(frame: int, fps: Fraction) -> int:
    """When a frame of the grid is shown; ffmpeg rounds halves up."""
    return int(frame * CLOCK / fps + Fraction(1, 2))
