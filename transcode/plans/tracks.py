"""The sound tracks that are not muxed with the picture, each as pieces of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transcode.layout import MEDIA_PLAYLIST, audio_track
from transcode.plans import muxing, sound
from transcode.plans.source import PROGRESS, WARY, guarded, seconds
from transcode.timeline import Timeline


@dataclass(frozen=True, slots=True)
class TracksPlan:
    """Writes `audio<N>/NNNN.ts` for these tracks, and a playlist beside them."""

    timeline: Timeline
    source: Path
    numbers: Sequence[int]

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        return [
            *WARY, *PROGRESS, "-copyts", *guarded(self.source, "-vn", "-sn", "-dn"),
            *(option for number in self.numbers for option in self._output(number)),
        ]  # fmt: skip

    def _output(self, number: int) -> list[str]:
        grid, folder = self.timeline.grid, audio_track(number)
        return [
            *sound.on_clock(self.timeline, self.timeline.audio[number]), *sound.OPTIONS, *muxing.CLOCK,
            "-f", "hls", "-hls_time", seconds(grid.gop / grid.fps), "-hls_list_size", "0",
            "-hls_segment_filename", f"{folder}/%04d.ts", f"{folder}/{MEDIA_PLAYLIST}",
        ]  # fmt: skip
