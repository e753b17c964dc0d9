"""WebVTT, as far as subtitles of films need it: read from one file, written in pieces (RFC 8216, 3.5)."""

from __future__ import annotations

import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

_MAX_OPEN_CUE_MS = 5000  # milliseconds of a cue without an end

_TIMESTAMP = r"(?:(\d{1,9}):)?(\d\d):(\d\d)\.(\d{3})"
# A path of ASS: m 0 0 l 100 0 100 100.
_ASS_DRAWING = re.compile(r"\s*m(\s+-?[\d.]+){2}(\s+([mnlbspc]|-?[\d.]+))*\s*")
_CUE_TIMING = re.compile(rf"^{_TIMESTAMP}[ \t]+-->[ \t]+{_TIMESTAMP}([^\n]*)$")


@dataclass(frozen=True, slots=True)
class Cue:
    """Words and when they are shown, in milliseconds of film time; `settings` say where."""

    start: int
    end: int
    text: str
    settings: str = ""

    def ending_at(self, end: int) -> Cue:
        """Ending at a time, or after some seconds."""
        return Cue(self.start, min(end, self.start + _MAX_OPEN_CUE_MS), self.text, self.settings)

    def shifted(self, offset_ms: int) -> Cue:
        """Later by so many milliseconds."""
        return Cue(self.start + offset_ms, self.end + offset_ms, self.text, self.settings)


def decode(data: bytes) -> str:
    """The text of a file; lines that are no UTF-8 are taken for Western European ones of Windows."""
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
    """The cues of a file in their order; whatever else is in it is left out.

    A cue whose end is not known stays until the next one, and not for long.
    """
    found = []
    for block in re.split(r"\n{2,}", text.replace("\r\n", "\n")):
        lines = block.strip("\n").split("\n")
        for place, line in enumerate(lines[:2]):  # an identifier may stand before the times
            if times := _CUE_TIMING.match(line):
                words = _cue_text(lines[place + 1 :])
                start, end = _to_milliseconds(*times.groups()[:4]), _to_milliseconds(*times.groups()[4:8])
                if words:
                    found.append(Cue(start, end, words, times[9].strip()))
                break
    starts = [*sorted(cue.start for cue in found), sys.maxsize]
    return [cue if cue.end > cue.start else cue.ending_at(starts[bisect_right(starts, cue.start)]) for cue in found]


def _cue_text(lines: Sequence[str]) -> str:
    """What is left when shapes are left out, which ASS draws, and what has a meaning in WebVTT is none here."""
    words = "\n".join(line for line in lines if not _ASS_DRAWING.fullmatch(line))
    return words.replace("\\h", "\u00a0").replace("-->", "--&gt;").strip()


def split_cues(cues: Sequence[Cue], durations: Iterable[Fraction], clock_start: int) -> list[str]:
    """One text per length (in seconds); a cue over a border is in both pieces.

    `clock_start`: seconds at which film time 0 lies on the clock of the video segments.
    """
    borders = list(accumulate((length * 1000 for length in durations), initial=Fraction(0)))
    found: list[list[Cue]] = [[] for _ in borders[1:]]
    for cue in cues:
        first, after = max(0, bisect_right(borders, cue.start) - 1), bisect_left(borders, cue.end)
        for piece in found[first:after]:
            piece.append(cue)
    return [_render(piece, clock_start) for piece in found]


def format_timestamp(milliseconds: int) -> str:
    """01:02:03.456."""
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _render(cues: Iterable[Cue], clock_start: int) -> str:
    head = f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{clock_start * 90_000},LOCAL:00:00:00.000\n"
    return head + "".join(
        f"\n{format_timestamp(max(0, cue.start))} --> {format_timestamp(cue.end)}"
        f"{cue.settings and ' '}{cue.settings}\n{cue.text}\n"
        for cue in cues
    )


def _to_milliseconds(hours: str | None, minutes: str, seconds: str, thousandths: str) -> int:
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(thousandths)
