"""The loudness of a film's first sound track, measured alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transcode.plans import sound
from transcode.plans.source import PROGRESS, TALKATIVE, guarded
from transcode.timeline import Timeline


@dataclass(frozen=True, slots=True)
class LoudnessPlan:
    """Writes nothing, and reports the loudness at the end."""

    timeline: Timeline
    source: Path

    def argv(self) -> list[str]:
        """Return the arguments of ffmpeg."""
        return [
            *TALKATIVE, *PROGRESS, "-copyts", *guarded(self.source, "-vn", "-sn", "-dn"),
            *sound.on_clock(self.timeline, self.timeline.audio[0], sound.MEASURE_LOUDNESS), "-f", "null", "-",
        ]  # fmt: skip
