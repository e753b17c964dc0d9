"""The streams of a source without a usable index, in a container that has one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transcode.plans.source import PROGRESS, QUIET, guarded

REMUXED = "source.mkv"


@dataclass(frozen=True, slots=True)
class RemuxPlan:
    """Writes `REMUXED`, a Matroska file. `streams` are the indexes that are taken."""

    source: Path
    streams: tuple[int, ...]

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        return [
            *QUIET, *PROGRESS, *guarded(self.source, "-fflags", "+genpts"),
            *(option for index in self.streams for option in ("-map", f"0:{index}")), "-c", "copy",
            # The source's languages stay; a broken packet is dropped by the decoder, not here.
            "-map_chapters", "-1", "-max_interleave_delta", "0", "-f", "matroska", REMUXED,
        ]  # fmt: skip
