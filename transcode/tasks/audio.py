"""The sound of a whole film, encoded once and published piece by piece, so that chunks can begin early."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transcode import layout
from transcode.errors import MediaError
from transcode.plans.audio import AudioPlan
from transcode.tasks import ffmpeg
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.origin import working_source
from transcode.tasks.steady import Changed, require_one_form, steady

_INTEGRATED = re.compile(r"\bI:\s*(-?\d+(?:\.\d+)?) LUFS")


def audio(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Returns `loudness`: integrated, in LUFS (EBU R128), None for silence."""
    layout.audio_dir(assignment.root, assignment.film).mkdir(parents=True, exist_ok=True)
    try:
        words = _encode(assignment, monitor, AudioPlan(assignment.known, working_source(assignment)))
    except Changed:
        for made in assignment.scratch.glob("*.ts"):  # or they would be taken for complete ones
            made.unlink()
        source, timeline = steady(assignment, monitor)
        words = _encode(assignment, monitor, AudioPlan(timeline, source))
    return {"loudness": loudness(words)}


def _encode(assignment: Assignment, monitor: Monitor, plan: AudioPlan) -> str:
    """Returns what ffmpeg said. Raises Changed; what is published by then is right."""
    pieces = _Pieces(assignment, monitor, plan.timeline.grid.chunks)
    seconds = ffmpeg.of_seconds(plan.timeline.duration)

    def progress(block: Mapping[str, str]) -> float:
        pieces.publish_complete()
        return seconds(block)

    done = ffmpeg.run(assignment, monitor, plan.argv(), progress=progress, listen=require_one_form)
    require_one_form(done.last_words)
    pieces.publish_rest()
    return done.last_words


class _Pieces:
    """Moves files of sound into place as they become complete."""

    def __init__(self, assignment: Assignment, monitor: Monitor, count: int) -> None:
        self._assignment = assignment
        self._monitor = monitor
        self._count = count
        self._published = 0

    def publish_complete(self) -> None:
        """A file is complete when ffmpeg has begun the next one."""
        while self._published + 1 < self._count and self._made(self._published + 1).exists():
            self._publish()

    def publish_rest(self) -> None:
        """ffmpeg has ended. Raises MediaError when files are missing."""
        while self._published < self._count:
            if not self._made(self._published).exists():
                raise MediaError(f"The sound ends after {self._published} of {self._count} parts.")
            self._publish()
        layout.to_disk(layout.audio_dir(self._assignment.root, self._assignment.film))

    def _publish(self) -> None:
        place = layout.audio_path(self._assignment.root, self._assignment.film, self._published)
        layout.publish(self._made(self._published), place)
        self._published += 1
        self._monitor.parts(self._published)

    def _made(self, index: int) -> Path:
        return self._assignment.scratch / layout.segment_name(index)


def loudness(words: str) -> float | None:
    """From the summary that ffmpeg's ebur128 filter prints at its end; below the gate (-70) it is silence."""
    found = _INTEGRATED.findall(words)
    return float(found[-1]) if found and float(found[-1]) > -70 else None
