"""Small pictures for scrubbing: which there are, how they lie on sheets, and the WebVTT index that says so.

They are the first pictures of segments, which stand alone, so they cost a film of hours a second or two.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from transcode.grid import Grid
from transcode.hls.webvtt import format_timestamp
from transcode.ladder import Rendition

_MAX_IMAGES = 600  # pictures: a film of three hours has one per 18 seconds, and some two megabytes of them
_IMAGE_SIDE_PX = 160  # pixels of a picture's longer side
_MAX_COLUMNS = _MAX_ROWS = 10  # of a full sheet


@dataclass(frozen=True, slots=True)
class Storyboard:
    """The storyboard of a film whose smallest rendition this is."""

    grid: Grid
    rendition: Rendition

    @property
    def segments(self) -> range:
        """Those whose first pictures are taken."""
        return range(0, self.grid.segment_count, -(-self.grid.segment_count // _MAX_IMAGES))

    @property
    def columns(self) -> int:
        """Of every sheet."""
        return min(_MAX_COLUMNS, len(self.segments))

    @property
    def rows(self) -> int:
        """Of every sheet; places of the last one may stay black."""
        return min(_MAX_ROWS, -(-len(self.segments) // self.columns))

    @property
    def sheet_count(self) -> int:
        """How many there are."""
        return -(-len(self.segments) // (self.columns * self.rows))

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of one picture."""
        scale = Fraction(_IMAGE_SIDE_PX, max(self.rendition.width, self.rendition.height))
        return _round_to_even(self.rendition.width * scale), _round_to_even(self.rendition.height * scale)

    def render_index(self) -> str:
        """WebVTT: from when to when which part of which sheet stands for the film."""
        starts = [round(self.grid.segment_start(segment) * 1000) for segment in self.segments]
        ends = [*starts[1:], round(self.grid.duration * 1000)]
        cues = (
            f"\n{format_timestamp(start)} --> {format_timestamp(end)}\n{self._image_fragment(number)}\n"
            for number, (start, end) in enumerate(zip(starts, ends, strict=True))
        )
        return "WEBVTT\n" + "".join(cues)

    def _image_fragment(self, number: int) -> str:
        sheet, place = divmod(number, self.columns * self.rows)
        row, column = divmod(place, self.columns)
        width, height = self.image_size
        return f"{sheet_name(sheet)}#xywh={column * width},{row * height},{width},{height}"


def _round_to_even(pixels: Fraction) -> int:
    return max(2, 2 * round(pixels / 2))


def sheet_name(number: int) -> str:
    """Counted from 0."""
    return f"{number:04d}.jpg"
