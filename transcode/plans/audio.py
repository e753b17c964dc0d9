"""A whole film's sound in one run, one file per chunk: decoded end to end it is one stream without a seam."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transcode.grid import CLOCK
from transcode.plans import sound
from transcode.plans.source import NO_METADATA, PROGRESS, TALKATIVE, guarded
from transcode.timeline import Timeline


@dataclass(frozen=True, slots=True)
class AudioPlan:
    """Writes `NNNN.ts`, one per chunk: each is complete when the next one is begun.

    Reports the loudness at the end if it is `measured`.
    """

    timeline: Timeline
    source: Path
    measured: bool = True

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        track = self.timeline.audio[0]
        filters = (*((sound.MEASURE_LOUDNESS,) if self.measured else ()), f"asetpts=PTS+{sound.FRAME}")
        return [
            *TALKATIVE, *PROGRESS, "-copyts",
            *guarded(self.source, "-vn", "-sn", "-dn"), *sound.on_clock(self.timeline, track, *filters),
            *sound.OPTIONS, *NO_METADATA,
            "-f", "segment", *self._cuts(), "-segment_format", "mpegts",
            "-segment_format_options", "mpegts_copyts=1", "-reset_timestamps", "0",
            "%04d.ts",
        ]  # fmt: skip

    def _cuts(self) -> list[str]:
        grid = self.timeline.grid
        if grid.chunks == 1:
            return ["-segment_time", "100000000"]
        return [
            "-segment_times",
            ",".join(_after_first_packet(grid.cut(grid.chunk(i)[0])) for i in range(1, grid.chunks)),
        ]


def _after_first_packet(tick: int) -> str:
    """A cut on the clock of the files, which is 0 at their first packet; microseconds, rounded down.

    Before ffmpeg 6 the segment muxer counts from 0, later ones from the first packet: here that is the same.
    """
    ticks = tick + sound.FRAME * CLOCK // sound.RATE
    microseconds = ticks * 1_000_000 // CLOCK
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"
