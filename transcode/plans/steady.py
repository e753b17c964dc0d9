"""Sound of one form throughout, for recordings that change between stereo and surround, or their rate, on the way.

ffmpeg builds its filters anew at every change, and what they count begins anew with them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from transcode.plans import sound
from transcode.plans.downmix import to_stereo
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
        return [
            *QUIET, *PROGRESS, "-copyts", *guarded(self.source, "-vn", "-sn", "-dn"), *self._streams(),
            "-c:a", "pcm_f32le", *NO_METADATA, "-avoid_negative_ts", "disabled",
            "-f", "matroska", STEADY,
        ]  # fmt: skip

    def _streams(self) -> list[str]:
        """Return the options of every stream: the two sides of a track stay two streams."""
        options = []
        for place, (index, mix) in enumerate(self.mixed()):
            options += [
                "-map",
                f"0:{index}",
                f"-filter:{place}",
                f"{sound.FLOAT},aresample={sound.RATE},{mix}",
            ]  # counts nothing
        return options

    def mixed(self) -> list[tuple[int, str]]:
        """Return the index of every stream in the source, in their order, and the filter that mixes it."""
        return [
            (index, to_stereo(track) if track.right_index is None else sound.MONO)
            for track in self.timeline.audio
            for index in track.indexes
        ]

    def steady_timeline(self) -> Timeline:
        """Return the timeline for what is written: the tracks where they are in it."""
        places = {index: place for place, (index, _) in enumerate(self.mixed())}
        tracks = []
        for track in self.timeline.audio:
            index, *right = (places[index] for index in track.indexes)
            # The number of channels stays, for it tells how much the limiter must leave.
            tracks.append(replace(track, index=index, right_index=right[0] if right else None, layout="stereo"))
        return replace(self.timeline, audio=tuple(tracks))
