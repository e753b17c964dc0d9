"""Makes a film in process, task after task in the order of the ledger, in a media folder of its own."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transcode import layout
from transcode.tasks.assignment import Assignment
from transcode.tasks.work import perform
from transcode.timeline import Timeline
from transcode.tools import Tools


class Watch:
    """A monitor that remembers what it was told; `stop_at` stops the task at that part of it."""

    def __init__(self, stop_at: float = 2.0) -> None:
        self.seen: list[float] = []
        self.counts: list[int] = []
        self._stop_at = stop_at

    def progress(self, done: float) -> None:
        self.seen.append(done)

    def parts(self, count: int) -> None:
        self.counts.append(count)

    def stopped(self) -> bool:
        return bool(self.seen) and self.seen[-1] >= self._stop_at


@dataclass
class Studio:
    """One film, number 1."""

    root: Path
    source: Path
    tools: Tools
    known: dict[str, Any] | None = None
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def timeline(self) -> Timeline:
        assert self.known is not None
        return Timeline.from_json(self.known)

    @property
    def folder(self) -> Path:
        return layout.film_dir(self.root, 1)

    def segments(self, rendition: str = "480p") -> list[Path]:
        return [layout.segment_path(self.root, 1, rendition, number) for number in range(self.timeline.segments)]

    def do(self, kind: str, index: int = 0, rendition: str | None = None, watch: Watch | None = None) -> dict[str, Any]:
        """Perform one task and remember its result."""
        scratch = layout.attempt_dir(self.root, 1, secrets.token_hex(4))
        scratch.mkdir(parents=True)
        try:
            found = perform(
                Assignment(
                    kind, 1, str(self.source), self.root, scratch, self.tools,
                    timeline=self.known, index=index, rendition=rendition,
                ),
                watch or Watch(),
            )  # fmt: skip
        finally:
            shutil.rmtree(scratch)
        self.results[kind] = found
        return found

    def probe(self) -> Timeline:
        self.known = self.do("probe")
        return self.timeline

    def sound(self) -> None:
        if self.timeline.audio:
            self.do("audio")

    def chunks(self) -> None:
        for index in range(self.timeline.grid.chunks):
            self.do("chunk", index)

    def make(self) -> Timeline:
        """All tasks."""
        self.probe()
        self.do("thumbnail")
        self.sound()
        self.chunks()
        if len(self.timeline.audio) > 1:
            self.do("tracks")
        if self.timeline.subtitles:
            self.do("subtitles")
        for kind in ("iframes", "storyboard", "finish"):
            self.do(kind)
        return self.timeline
