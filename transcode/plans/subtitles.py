"""The text subtitles of a source, all from one reading of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transcode.plans.source import NO_METADATA, PROGRESS, QUIET, guarded
from transcode.timeline import Timeline


@dataclass(frozen=True, slots=True)
class SubtitlesPlan:
    """Writes `<N>.vtt` for every track, N from 1, on the source's clock."""

    timeline: Timeline
    source: Path

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        return [
            # Words that are no UTF-8 come out as they are, rather than not at all.
            *QUIET, *PROGRESS, "-copyts", *guarded(self.source, "-vn", "-an", "-dn", "-sub_charenc_mode", "ignore"),
            *(
                option
                for number, track in enumerate(self.timeline.subtitles, 1)
                for option in (
                    "-map", f"0:{track.index}", "-c:s", "webvtt", *NO_METADATA,
                    "-avoid_negative_ts", "disabled", "-f", "webvtt", f"{number}.vtt",
                )
            ),
        ]  # fmt: skip
