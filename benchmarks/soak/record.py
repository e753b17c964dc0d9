"""What the site has promised, and what it did not keep."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.soak.films import SampleFile


@dataclass
class ExpectedVideo:
    """A film whose upload was answered 201, or whose import ended well. `gone`: None when nobody knows."""

    id: int
    sample: SampleFile
    title: str
    is_deleted: bool | None = False
    description: str | None = ""


@dataclass
class SoakReport:
    """All actors write here."""

    videos: dict[int, ExpectedVideo] = field(default_factory=dict)
    possible_videos: dict[str, SampleFile] = field(
        default_factory=dict
    )  # films of these titles may have come in: no answer came
    imported_videos: dict[str, SampleFile] = field(default_factory=dict)  # by their titles
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)

    def log_event(self, message: str) -> None:
        """Something happened, or was made to."""
        self.events.append(f"{time.monotonic() - self.started_at:7.2f} {message}")

    def count(self, name: str) -> None:
        """One more of them."""
        self.counts[name] += 1

    def report_violation(self, message: str) -> None:
        """Something is not as it should be."""
        self.log_event(f"COMPLAINT {message}")
        self.violations.append(message)

    def require(self, condition: object, message: str) -> None:
        """Complain unless it is so."""
        if not condition:
            self.report_violation(message)

    def existing_videos(self) -> list[ExpectedVideo]:
        """Films that nobody has deleted, oldest first."""
        return [film for film in self.videos.values() if film.is_deleted is False]
