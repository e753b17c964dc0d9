"""Storyboards: small pictures for scrubbing, tiled on sheets, with a WebVTT index.

The pictures are the first frames of segments. These are key frames, so even hours of video take a second or two.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from transcode.grid import Grid
from transcode.ladder import Rendition, round_to_even
from transcode.timestamps import format_webvtt_timestamp

_MAX_IMAGES = 600  # three hours of video get one per 18 seconds, some two megabytes in all
_IMAGE_SIDE_PX = 160  # longer side
_MAX_COLUMNS = _MAX_ROWS = 10  # per sheet


@dataclass(frozen=True, slots=True)
class Storyboard:
    """The storyboard of a video; `rendition` is the smallest one."""

    grid: Grid
    rendition: Rendition

    @property
    def segments(self) -> range:
        """Numbers of the segments whose first frames are used."""
        return range(0, self.grid.segment_count, -(-self.grid.segment_count // _MAX_IMAGES))

    @property
    def columns(self) -> int:
        """Columns of every sheet."""
        return min(_MAX_COLUMNS, len(self.segments))

    @property
    def rows(self) -> int:
        """Rows of every sheet. The last sheet may have empty tiles, which are black."""
        return min(_MAX_ROWS, -(-len(self.segments) // self.columns))

    @property
    def sheet_count(self) -> int:
        """Number of sheets."""
        return -(-len(self.segments) // (self.columns * self.rows))

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of a picture in pixels."""
        scale = Fraction(_IMAGE_SIDE_PX, max(self.rendition.width, self.rendition.height))
        return round_to_even(self.rendition.width * scale, 2), round_to_even(self.rendition.height * scale, 2)

    def render_index(self) -> str:
        """Return the WebVTT index: each cue maps a span of the video to a part of a sheet."""
        starts = [round(self.grid.segment_start(segment) * 1000) for segment in self.segments]
        ends = [*starts[1:], round(self.grid.duration * 1000)]
        cues = (
            f"\n{format_webvtt_timestamp(start)} --> {format_webvtt_timestamp(end)}\n{self._image_fragment(number)}\n"
            for number, (start, end) in enumerate(zip(starts, ends, strict=True))
        )
        return "WEBVTT\n" + "".join(cues)

    def _image_fragment(self, number: int) -> str:
        sheet, tile = divmod(number, self.columns * self.rows)
        row, column = divmod(tile, self.columns)
        width, height = self.image_size
        return f"{sheet_name(sheet)}#xywh={column * width},{row * height},{width},{height}"


def sheet_name(number: int) -> str:
    """Return the file name of a sheet, counted from 0."""
    return f"{number:04d}.jpg"
