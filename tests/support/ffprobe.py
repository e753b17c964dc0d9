"""The content of published files, as ffprobe and ffmpeg read it."""

from __future__ import annotations

import array
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from transcode.ffmpeg.binaries import FfmpegBinaries

CLOCK = 90_000  # ticks per second
CLOCK_START = 10  # seconds at which the video starts
RATE = 48_000
AAC_FRAME = 1024  # samples; as many are played before the video starts

# A static ffmpeg looks for character sets of the system's C library; see `transcode.ffmpeg.process`.
ENVIRONMENT = {**os.environ, "GCONV_PATH": "/nonexistent", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class SegmentPackets:
    """Packets of one file in their order; times in ticks from the start of the video."""

    presentation_times: list[int]
    decoding_times: list[int]
    key_frames: list[int]  # indexes into `presentation_times`
    audio_times: list[int]


@dataclass(frozen=True, slots=True)
class DecodedPlaylist:
    """A playlist decoded from end to end: mean luma per frame, mono samples, and ffmpeg's warnings."""

    luma: bytes
    samples: array.array[int]
    complaints: str


def run_ffprobe(tools: FfmpegBinaries, *arguments: str) -> str:
    """Run ffprobe; return its output."""
    command = [tools.ffprobe, "-v", "error", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=ENVIRONMENT).stdout


def read_packets(tools: FfmpegBinaries, file: Path) -> SegmentPackets:
    """Return the packets of one file."""
    entries = "packet=codec_type,pts,dts,flags"
    packets = json.loads(run_ffprobe(tools, "-of", "json", "-show_packets", "-show_entries", entries, str(file)))[
        "packets"
    ]
    video = [packet for packet in packets if packet["codec_type"] == "video"]
    start = CLOCK_START * CLOCK
    return SegmentPackets(
        [packet["pts"] - start for packet in video],
        [packet["dts"] - start for packet in video],
        [index for index, packet in enumerate(video) if "K" in packet["flags"]],
        [packet["pts"] - start for packet in packets if packet["codec_type"] == "audio"],
    )


def decode_playlist(tools: FfmpegBinaries, playlist: Path, folder: Path, *, sound: bool) -> DecodedPlaylist:
    """Decode a playlist from end to end."""
    pictures, samples = folder / "pictures.raw", folder / "samples.raw"
    command = [
        tools.ffmpeg, "-v", "warning", "-nostdin", "-y", "-i", str(playlist),
        "-map", "0:v", "-vf", "scale=2:2:flags=area", "-pix_fmt", "yuv420p", "-fps_mode", "passthrough",
        "-f", "rawvideo", str(pictures),
        *(["-map", "0:a", "-f", "s16le", "-ac", "1", str(samples)] if sound else []),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=ENVIRONMENT)
    warnings = [line for line in done.stderr.splitlines() if "low score" not in line]  # printed for very short files
    return DecodedPlaylist(
        pictures.read_bytes()[::6], _read_samples(samples) if sound else array.array("h"), "\n".join(warnings)
    )


def decode_audio(tools: FfmpegBinaries, *source: str) -> array.array[int]:
    """Return all audio samples of a file, two channels interleaved."""
    command = [tools.ffmpeg, "-v", "error", "-nostdin", *source, "-map", "0:a", "-f", "s16le", "-"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, env=ENVIRONMENT)
    samples = array.array("h")
    samples.frombytes(done.stdout)
    return samples


def _read_samples(file: Path) -> array.array[int]:
    samples = array.array("h")
    samples.frombytes(file.read_bytes())
    return samples


def beep_times(samples: Sequence[int]) -> list[float]:
    """Return the times at which a beep begins: loud after at least a third of a second of silence."""
    times, quiet_samples = [], RATE
    for index, sample in enumerate(samples):
        if -3000 < sample < 3000:
            quiet_samples += 1
            continue
        if quiet_samples > RATE / 3:
            times.append((index - AAC_FRAME) / RATE)
        quiet_samples = 0
    return times


def ticks(frame: int, fps: Fraction) -> int:
    """Return the tick at which a frame of the grid is shown; ffmpeg rounds halves up."""
    return int(frame * CLOCK / fps + Fraction(1, 2))
