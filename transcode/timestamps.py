"""Times as text: in messages, in WebVTT and in tags of Matroska."""

from __future__ import annotations


def format_duration(seconds: float) -> str:
    """Return a duration or a position for people: "1:02:03", or "2:03" below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def format_webvtt_timestamp(milliseconds: int) -> str:
    """Return a WebVTT timestamp (WebVTT, section 4.1) such as "01:02:03.456"."""
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def parse_matroska_duration(text: str) -> float:
    """Return the seconds of a Matroska tag such as "00:01:02.345000000", or 0 if it is not of this form."""
    try:
        hours, minutes, rest = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(rest)
    except ValueError:
        return 0.0
