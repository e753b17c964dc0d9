"""WebVTT subtitles: parse the file of a track, and split it into segments (RFC 8216, 3.5)."""

from __future__ import annotations

import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from transcode.timestamps import format_webvtt_timestamp

_MAX_OPEN_CUE_MS = 5000  # duration of a cue without an end

_TIMESTAMP = r"(?:(\d{1,9}):)?(\d\d):(\d\d)\.(\d{3})"
# A drawing of ASS, such as "m 0 0 l 100 0 100 100".
_ASS_DRAWING = re.compile(r"\s*m(\s+-?[\d.]+){2}(\s+([mnlbspc]|-?[\d.]+))*\s*")
_CUE_TIMING = re.compile(rf"^{_TIMESTAMP}[ \t]+-->[ \t]+{_TIMESTAMP}([^\n]*)$")


@dataclass(frozen=True, slots=True)
class Cue:
    """A text and the time at which it is shown, in milliseconds of video time; `settings` place it on the screen."""

    start: int
    end: int
    text: str
    settings: str = ""

    def ending_at(self, end: int) -> Cue:
        """Return the cue with another end, `_MAX_OPEN_CUE_MS` after its start at the latest."""
        return Cue(self.start, min(end, self.start + _MAX_OPEN_CUE_MS), self.text, self.settings)

    def shifted(self, offset_ms: int) -> Cue:
        """Return the cue moved by `offset_ms`."""
        return Cue(self.start + offset_ms, self.end + offset_ms, self.text, self.settings)


def decode(data: bytes) -> str:
    """Decode a file. Lines that are not UTF-8 are read as Windows-1252."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "\n".join(_decode_line(line) for line in data.split(b"\n"))


def _decode_line(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")


def parse(text: str) -> list[Cue]:
    """Return the cues of a file in order, ignoring everything else.

    A cue without an end lasts until the next one starts, `_MAX_OPEN_CUE_MS` at most.
    """
    cues = []
    for block in re.split(r"\n{2,}", text.replace("\r\n", "\n")):
        lines = block.strip("\n").split("\n")
        for number, line in enumerate(lines[:2]):  # an identifier may precede the timing
            if timing := _CUE_TIMING.match(line):
                text_of_cue = _cue_text(lines[number + 1 :])
                start, end = _to_milliseconds(*timing.groups()[:4]), _to_milliseconds(*timing.groups()[4:8])
                if text_of_cue:
                    cues.append(Cue(start, end, text_of_cue, timing[9].strip()))
                break
    starts = [*sorted(cue.start for cue in cues), sys.maxsize]
    return [cue if cue.end > cue.start else cue.ending_at(starts[bisect_right(starts, cue.start)]) for cue in cues]


def _cue_text(lines: Sequence[str]) -> str:
    """Return the text without ASS drawings, with ASS's hard spaces converted and WebVTT's arrow escaped."""
    text = "\n".join(line for line in lines if not _ASS_DRAWING.fullmatch(line))
    return text.replace("\\h", "\u00a0").replace("-->", "--&gt;").strip()


def split_cues(cues: Sequence[Cue], durations: Iterable[Fraction], clock_start: int) -> list[str]:
    """Return the WebVTT text of each segment, given their durations in seconds.

    A cue that crosses a boundary is in both segments. `clock_start` is the time in seconds of video time 0 on the clock
    of the video segments.
    """
    boundaries = list(accumulate((duration * 1000 for duration in durations), initial=Fraction(0)))
    segments: list[list[Cue]] = [[] for _ in boundaries[1:]]
    for cue in cues:
        first, end = max(0, bisect_right(boundaries, cue.start) - 1), bisect_left(boundaries, cue.end)
        for segment in segments[first:end]:
            segment.append(cue)
    return [_render(segment, clock_start) for segment in segments]


def _render(cues: Iterable[Cue], clock_start: int) -> str:
    header = f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{clock_start * 90_000},LOCAL:00:00:00.000\n"
    return header + "".join(
        f"\n{format_webvtt_timestamp(max(0, cue.start))} --> {format_webvtt_timestamp(cue.end)}"
        f"{cue.settings and ' '}{cue.settings}\n{cue.text}\n"
        for cue in cues
    )


def _to_milliseconds(hours: str | None, minutes: str, seconds: str, thousandths: str) -> int:
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(thousandths)
