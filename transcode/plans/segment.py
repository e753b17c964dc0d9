"""One segment of one rendition, for a viewer who waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from transcode import x264
from transcode.grid import CLOCK
from transcode.plans import muxing, picture, sound
from transcode.plans.source import PROGRESS, QUIET, guarded
from transcode.timeline import Timeline

# AAC frames that are encoded before the first wanted one: what a frame decodes to depends on the one before it.
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
            codec = ["-map", "1:a", "-c:a", "copy"]
        else:
            codec = ["-map", sound.source_map(self.timeline.audio[0]), "-af", self._own(), *sound.OPTIONS]
        return [*codec, "-bsf:a", f"noise=drop={self._foreign()}"]

    def _own(self) -> str:
        """From a few frames before the segment to a few after it, so that both ends are as in one run."""
        grid = self.timeline.grid
        first = max(0, grid.cut(self.number) * sound.RATE // CLOCK // sound.FRAME - _RUN_UP)
        end = min(grid.duration, grid.start(self.number + 1) + Fraction(_RUN_UP * sound.FRAME, sound.RATE))
        return sound.on_clock(self.timeline, first * sound.FRAME, end)

    def _foreign(self) -> str:
        """Which packets belong to the neighbours; half a tick of tolerance for floating point."""
        grid = self.timeline.grid
        before = f"lt(pts*tb\\,{_seconds(grid.cut(self.number))})" if self.number else "0"
        behind = f"gte(pts*tb\\,{_seconds(grid.cut(self.number + 1))})" if self.number + 1 < grid.segments else "0"
        return f"{before}+{behind}"


def _seconds(tick: int) -> str:
    return f"{(tick - 0.5) / CLOCK:.9f}"
