"""Where the programs are, and what one run of them may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FfmpegBinaries:
    """Paths of ffmpeg (5.1 or newer) and ffprobe; `memory`: bytes that one run of ffmpeg may write to."""

    ffmpeg: str
    ffprobe: str
    memory: int = 12 * 1024**3
