"""One segment of one rendition, for a viewer who waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from transcode import x264
from transcode.plans import muxing, picture, sound
from transcode.plans.source import PROGRESS, QUIET, guarded
from transcode.timeline import Timeline

# AAC frames that are encoded before the first wanted one: what a frame decodes to depends on the one before it, and the
# limiter forgets a peak in 50 ms.
_RUN_UP = 4

SEGMENT = "segment.ts"


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """Writes `SEGMENT`.

    `sound` is the file of sound of its chunk; None when the run of sound has not come that far, and then the
    segment encodes its own, on the same grid of AAC frames.
    """

    timeline: Timeline
    number: int
    rendition: str
    source: Path
    sound: Path | None

    @property
    def frames(self) -> int:
        """How many it shows."""
        return self.timeline.grid.frames_of(self.number, self.number + 1)

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        timeline, rendition = self.timeline, self.timeline.rendition(self.rendition)
        start = timeline.grid.start(self.number)
        chains = [
            f"[0:{timeline.video.index}]{picture.on_grid(timeline, start, self.frames)}[grid]",
            *picture.sizes(timeline, [rendition]),
        ]
        return [
            *QUIET, *PROGRESS, "-copyts", *guarded(self.source, *picture.seek(timeline, start)),
            *(muxing.finished_sound(self.sound) if self.sound else []),
            "-filter_complex", ";".join(chains), "-map", f"[{rendition.name}]",
            *(self._sound() if timeline.audio else []),
            *x264.options(rendition, timeline.grid, x264.Quality.INTERACTIVE), *picture.colour_tags(timeline),
            *muxing.CLOCK, "-f", "mpegts", "-mpegts_flags", muxing.DISCONTINUITY, SEGMENT,
        ]  # fmt: skip

    def _sound(self) -> list[str]:
        if self.sound:
            chunk = self.timeline.grid.chunk(self.timeline.grid.chunk_of(self.number))
            return ["-map", "1:a", "-c:a", "copy", "-bsf:a", self._only(self._first_frame(chunk.start))]
        # From a few frames before the segment to a few after it, so that both ends are as in one run.
        first = max(0, self._first_frame(self.number) - _RUN_UP)
        return [*self._own(first), *sound.OPTIONS, "-bsf:a", self._only(first)]

    def _own(self, first: int) -> list[str]:
        grid = self.timeline.grid
        end = min(grid.duration, grid.start(self.number + 1) + Fraction(_RUN_UP * sound.FRAME, sound.RATE))
        return sound.on_clock(self.timeline, self.timeline.audio[0], first_sample=first * sound.FRAME, end=end)

    def _only(self, first: int) -> str:
        """Drops what belongs to the neighbours, of a stream that begins with AAC frame `first`.

        Frames are counted: whether a bitstream filter sees times of the encoder or of the muxer is a matter of luck.
        """
        begin, end = self._first_frame(self.number), self._first_frame(self.number + 1)
        behind = f"+gte(n\\,{end - first})" if self.number + 1 < self.timeline.grid.segments else ""
        return f"noise=drop=lt(n\\,{begin - first}){behind}"

    def _first_frame(self, segment: int) -> int:
        return sound.frames_before(self.timeline.grid.cut(segment)) if segment else 0
