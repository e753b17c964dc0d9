"""What a task is called with: its context, and the sink for its progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from transcode.errors import MediaError
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.presentation import Presentation


@dataclass(frozen=True, slots=True)
class TaskContext:
    """One attempt at a task. `index` is the number of a chunk or segment; `rendition` is set for segments."""

    kind: str
    video_id: int
    source: str
    media_root: Path
    scratch_dir: Path  # exists; no other attempt uses it
    binaries: FfmpegBinaries
    known_presentation: Presentation | None = None  # None until the source has been probed
    index: int = 0
    rendition: str | None = None
    reserve_bytes: int = 0  # to keep free on the volume

    @property
    def presentation(self) -> Presentation:
        """The presentation, set for every task but the first probe. Raises MediaError if it is missing."""
        if self.known_presentation is None:
            raise MediaError("The video has not been probed yet.")
        return self.known_presentation


class ProgressSink(Protocol):
    """Receives a task's progress and tells it when to stop."""

    def report_progress(self, fraction: float) -> None:
        """Report how much of the task is done, from 0 to 1."""

    def report_parts(self, count: int) -> None:
        """Report the number of complete files.

        For the audio task, these are the chunks that may start; for other tasks, the call only shows that the task is
        making progress.
        """

    def is_stop_requested(self) -> bool:
        """Return whether the task must stop without publishing anything more."""
