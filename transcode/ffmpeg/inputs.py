"""Options with which ffmpeg opens a source, which is not trusted.

Without these limits, a text file named video.mp4 that is really a playlist makes ffmpeg read other users' media.
"""

from __future__ import annotations

from pathlib import Path

ALLOWED_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,flv,mpeg,asf,ogg"
MAX_PIXELS = 8192 * 4608
MAX_STREAMS = 100

INPUT_GUARDS = (
    "-protocol_whitelist", "file", "-format_whitelist", ALLOWED_FORMATS,
    "-probesize", "20M", "-analyzeduration", "20M",  # bytes; microseconds
    "-max_streams", str(MAX_STREAMS), "-max_pixels", str(MAX_PIXELS),
)  # fmt: skip

# To follow the guards and override them: a longer analysis, for recordings whose picture begins late.
LONG_ANALYSIS_OPTIONS = ("-probesize", "500M", "-analyzeduration", "600M")

# No reading from stdin, no questions. Any number of damaged packets may be dropped, because the output is checked.
_COMMON_OPTIONS = ("-hide_banner", "-nostdin", "-y", "-max_error_rate", "1")
# Only errors on stderr.
LOG_ERRORS = (*_COMMON_OPTIONS, "-v", "error")
# Warnings too, with the level in front of each line.
LOG_WARNINGS = (*_COMMON_OPTIONS, "-v", "level+warning")
# Also what filters report at their end.
LOG_INFO = (*_COMMON_OPTIONS, "-v", "level+info")
# Progress as key=value lines on stdout, twice a second.
PROGRESS_OPTIONS = ("-progress", "pipe:1", "-stats_period", "0.5", "-nostats")
# Titles, comments and chapters of the source are private to its owner.
NO_METADATA = ("-map_metadata", "-1", "-map_chapters", "-1")


def guarded_input(source: Path, *options: str) -> list[str]:
    """Return the arguments that open a user's file as an input; `options`: further input options such as -ss."""
    return [*INPUT_GUARDS, *options, "-i", f"file:{source}"]


def format_seconds(value: object) -> str:
    """Return a time for ffmpeg, in seconds with the microseconds that it supports."""
    return f"{float(value):.6f}"  # type: ignore[arg-type]
