"""Small pictures for scrubbing: which there are, how they lie on sheets, and the WebVTT index that says so.

They are the first pictures of segments, which stand alone, so they cost a film of hours a second or two.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from transcode.grid import Grid
from transcode.hls.webvtt import stamp
from transcode.ladder import Rendition

_MOST = 600  # pictures: a film of three hours has one per 18 seconds, and some two megabytes of them
_SIDE = 160  # pixels of a picture's longer side
_COLUMNS = _ROWS = 10  # of a full sheet


@dataclass(frozen=True, slots=True)
class Storyboard:
    """The storyboard of a film whose smallest rendition this is."""

    grid: Grid
    rendition: Rendition

    @property
    def segments(self) -> range:
        """Those whose first pictures are taken."""
        return range(0, self.grid.segments, -(-self.grid.segments // _MOST))

    @property
    def columns(self) -> int:
        """Of every sheet."""
        return min(_COLUMNS, len(self.segments))

    @property
    def rows(self) -> int:
        """Of every sheet; places of the last one may stay black."""
        return min(_ROWS, -(-len(self.segments) // self.columns))

    @property
    def sheets(self) -> int:
        """How many there are."""
        return -(-len(self.segments) // (self.columns * self.rows))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of one picture."""
        scale = Fraction(_SIDE, max(self.rendition.width, self.rendition.height))
        return _even(self.rendition.width * scale), _even(self.rendition.height * scale)

    def index(self) -> str:
        """WebVTT: from when to when which part of which sheet stands for the film."""
        starts = [round(self.grid.start(segment) * 1000) for segment in self.segments]
        ends = [*starts[1:], round(self.grid.duration * 1000)]
        cues = (
            f"\n{stamp(start)} --> {stamp(end)}\n{self._place(number)}\n"
            for number, (start, end) in enumerate(zip(starts, ends, strict=True))
        )
        return "WEBVTT\n" + "".join(cues)

    def _place(self, number: int) -> str:
        sheet, place = divmod(number, self.columns * self.rows)
        row, column = divmod(place, self.columns)
        width, height = self.size
        return f"{sheet_name(sheet)}#xywh={column * width},{row * height},{width},{height}"


def _even(pixels: Fraction) -> int:
    return max(2, 2 * round(pixels / 2))


def sheet_name(number: int) -> str:
    """Counted from 0."""
    return f"{number:04d}.jpg"
