"""Build a video in this process, one task after another in the ledger's order, in a media folder of its own."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transcode import paths
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.presentation import Presentation
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.registry import run_task


class RecordingProgressSink(ProgressSink):
    """Records progress, and stops the task once its progress reaches `stop_at`."""

    def __init__(self, stop_at: float = 2.0) -> None:
        self.fractions: list[float] = []
        self.counts: list[int] = []
        self._stop_at = stop_at

    def report_progress(self, fraction: float) -> None:
        """Record the progress, from 0 to 1."""
        self.fractions.append(fraction)

    def report_parts(self, count: int) -> None:
        """Record the number of complete files."""
        self.counts.append(count)

    def is_stop_requested(self) -> bool:
        """Return whether the progress has reached `stop_at`."""
        return bool(self.fractions) and self.fractions[-1] >= self._stop_at


@dataclass
class VideoBuilder:
    """Builds video 1. `presentation_json` is None before the probe, `results` are the latest by kind."""

    root: Path
    source: Path
    tools: FfmpegBinaries
    presentation_json: dict[str, Any] | None = None
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def presentation(self) -> Presentation:
        """Return the presentation that the probe built."""
        assert self.presentation_json is not None
        return Presentation.from_json(self.presentation_json)

    @property
    def folder(self) -> Path:
        """Return the folder of the published files."""
        return paths.video_dir(self.root, 1)

    def segment_paths(self, rendition: str = "480p") -> list[Path]:
        """Return the paths of a rendition's segments."""
        return [
            paths.segment_path(self.root, 1, rendition, number) for number in range(self.presentation.segment_count)
        ]

    def run_task(
        self,
        kind: str,
        index: int = 0,
        rendition: str | None = None,
        progress_sink: RecordingProgressSink | None = None,
    ) -> dict[str, Any]:
        """Run one task and remember its result."""
        scratch = paths.attempt_dir(self.root, 1, secrets.token_hex(4))
        scratch.mkdir(parents=True)
        try:
            result = run_task(
                TaskContext(
                    kind, 1, str(self.source), self.root, scratch, self.tools,
                    known_presentation=self.presentation if self.presentation_json else None,
                    index=index, rendition=rendition,
                ),
                progress_sink or RecordingProgressSink(),
            )  # fmt: skip
        finally:
            shutil.rmtree(scratch)
        self.results[kind] = dict(result)
        return self.results[kind]

    def probe(self) -> Presentation:
        """Run the probe; return the presentation."""
        self.presentation_json = self.run_task("probe")
        return self.presentation

    def encode_audio(self) -> None:
        """Encode the audio, if there is any."""
        if self.presentation.audio:
            self.run_task("audio")

    def encode_chunks(self) -> None:
        """Encode all chunks."""
        for index in range(self.presentation.grid.chunk_count):
            self.run_task("chunk", index)

    def build(self) -> Presentation:
        """Run all tasks; return the presentation."""
        self.probe()
        self.run_task("thumbnail")
        self.encode_audio()
        self.encode_chunks()
        if len(self.presentation.audio) > 1:
            self.run_task("tracks")
        if self.presentation.subtitles:
            self.run_task("subtitles")
        for kind in ("iframes", "storyboard", "finish"):
            self.run_task(kind)
        return self.presentation
