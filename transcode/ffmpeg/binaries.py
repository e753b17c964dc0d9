"""Paths of ffmpeg and ffprobe, and the memory that one run may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FfmpegBinaries:
    """Paths of ffmpeg (5.1 or newer) and ffprobe; `memory` is how many bytes one run of ffmpeg may write to."""

    ffmpeg: str
    ffprobe: str
    memory: int = 12 * 1024**3
