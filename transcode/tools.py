"""Where the programs are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tools:
    """Paths of ffmpeg (5.1 or newer) and ffprobe."""

    ffmpeg: str
    ffprobe: str
