"""What a process of the pool is given: one task, and who watches it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from transcode.errors import MediaError
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.presentation import Presentation


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What is to be done. `index` is the number of a chunk or of a segment; `rendition` that of a segment."""

    kind: str
    video_id: int
    source: str
    media_root: Path  # the media folder
    scratch_dir: Path  # this attempt's own; it exists
    binaries: FfmpegBinaries
    known_presentation: Presentation | None = None  # None until the source has been probed
    index: int = 0
    rendition: str | None = None
    reserve_bytes: int = 0  # bytes that should stay free on the volume

    @property
    def presentation(self) -> Presentation:
        """The presentation, which every task but the probe is given. Raises MediaError if there is none."""
        if self.known_presentation is None:
            raise MediaError("The film was not probed yet.")
        return self.known_presentation


class ProgressSink(Protocol):
    """Who watches the work."""

    def report_progress(self, fraction: float) -> None:
        """How much of the task is done, 0..1."""

    def report_parts(self, count: int) -> None:
        """How many files are complete: of sound, those that chunks may begin with; of others, a sign of life."""

    def is_stop_requested(self) -> bool:
        """Whether the task should be left as it is."""
