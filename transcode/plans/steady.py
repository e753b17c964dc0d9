"""Sound of one form throughout, for recordings that change between stereo and surround, or their rate, on the way.

ffmpeg builds its filters anew at every change, and what they count begins anew with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transcode.plans import sound
from transcode.plans.source import NO_METADATA, PROGRESS, QUIET, guarded
from transcode.timeline import Timeline

STEADY = "sound.mka"


@dataclass(frozen=True, slots=True)
class SteadyPlan:
    """Writes `STEADY`: all sound tracks in their order, uncompressed, on the source's clock."""

    timeline: Timeline
    source: Path

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        maps = [option for track in self.timeline.audio for option in ("-map", sound.source_map(track))]
        form = f"aresample={sound.RATE},aformat=channel_layouts=stereo"  # counts nothing
        return [
            *QUIET, *PROGRESS, "-copyts", *guarded(self.source, "-vn", "-sn", "-dn"), *maps, "-af", form,
            "-c:a", "pcm_f32le", *NO_METADATA, "-avoid_negative_ts", "disabled",
            "-f", "matroska", STEADY,
        ]  # fmt: skip
