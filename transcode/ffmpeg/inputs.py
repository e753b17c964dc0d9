"""How a source is opened: nothing of it is trusted.

Without these limits a text file named film.mp4 that is really a playlist makes ffmpeg read other people's media.
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

# Behind the guards: a longer look, for a recording whose picture comes late.
LONG_ANALYSIS_OPTIONS = ("-probesize", "500M", "-analyzeduration", "600M")

# Nothing read from stdin, no questions; damaged packets are dropped, however many: what comes out is checked.
_COMMON_OPTIONS = ("-hide_banner", "-nostdin", "-y", "-max_error_rate", "1")
# Nothing but errors on stderr.
LOG_ERRORS = (*_COMMON_OPTIONS, "-v", "error")
# Warnings too; the level stands before each line.
LOG_WARNINGS = (*_COMMON_OPTIONS, "-v", "level+warning")
# And what filters report when they end.
LOG_INFO = (*_COMMON_OPTIONS, "-v", "level+info")
# Progress as key=value lines on stdout, twice a second.
PROGRESS_OPTIONS = ("-progress", "pipe:1", "-stats_period", "0.5", "-nostats")
# A source's titles, comments and chapters are its owner's business.
NO_METADATA = ("-map_metadata", "-1", "-map_chapters", "-1")


def guarded_input(source: Path, *options: str) -> list[str]:
    """An input that is a user's file, with options such as -ss."""
    return [*INPUT_GUARDS, *options, "-i", f"file:{source}"]


def format_seconds(value: object) -> str:
    """A time for ffmpeg, which knows microseconds."""
    return f"{float(value):.6f}"  # type: ignore[arg-type]
