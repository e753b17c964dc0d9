"""Small things that many tests use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FfmpegTools:
    """Paths of the two programs."""

    ffmpeg: str
    ffprobe: str
