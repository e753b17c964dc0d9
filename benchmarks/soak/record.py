"""The record of a run: what the site has promised, and the violations."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.soak.samples import SampleFile


@dataclass
class ExpectedVideo:
    """A video whose upload or import succeeded. `is_deleted` is None if a deletion got no response."""

    id: int
    sample: SampleFile
    title: str
    is_deleted: bool | None = False
    description: str | None = ""


@dataclass
class SoakReport:
    """The report to which all actors write."""

    videos: dict[int, ExpectedVideo] = field(default_factory=dict)
    possible_videos: dict[str, SampleFile] = field(
        default_factory=dict
    )  # titles of videos that may exist: there was no response
    imported_videos: dict[str, SampleFile] = field(default_factory=dict)  # by title
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)

    def log_event(self, message: str) -> None:
        """Record an action or a fault."""
        self.events.append(f"{time.monotonic() - self.started_at:7.2f} {message}")

    def count(self, name: str) -> None:
        """Increment a counter."""
        self.counts[name] += 1

    def report_violation(self, message: str) -> None:
        """Record a violation."""
        self.log_event(f"COMPLAINT {message}")
        self.violations.append(message)

    def require(self, condition: object, message: str) -> None:
        """Record a violation unless the condition holds."""
        if not condition:
            self.report_violation(message)

    def existing_videos(self) -> list[ExpectedVideo]:
        """Return the videos that were not deleted, oldest first."""
        return [video for video in self.videos.values() if video.is_deleted is False]
