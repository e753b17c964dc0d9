"""What a process of the pool is given: one task, and who watches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from transcode.errors import MediaError
from transcode.timeline import Timeline
from transcode.tools import Tools


@dataclass(frozen=True, slots=True)
class Assignment:
    """What is to be done. `index` is the number of a chunk or of a segment; `rendition` that of a segment."""

    kind: str
    film: int
    source: str
    root: Path  # the media folder
    scratch: Path  # this attempt's own; it exists
    tools: Tools
    timeline: Mapping[str, Any] | None = None
    index: int = 0
    rendition: str | None = None
    reserve: int = 0  # bytes that should stay free on the volume

    @property
    def known(self) -> Timeline:
        """The timeline, which every task but the probe is given."""
        if self.timeline is None:
            raise MediaError("The film was not probed yet.")
        return Timeline.from_json(self.timeline)


class Monitor(Protocol):
    """Who watches the work."""

    def progress(self, done: float) -> None:
        """How much of the task is done, 0..1."""

    def parts(self, count: int) -> None:
        """How many files are complete: of sound, those that chunks may begin with; of others, a sign of life."""

    def stopped(self) -> bool:
        """Whether the task should be left as it is."""
