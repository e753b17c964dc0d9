"""The sound of a whole film, encoded once and published piece by piece, so that chunks can begin early."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from transcode import layout
from transcode.errors import Failed, MediaError
from transcode.plans.audio import AudioPlan
from transcode.tasks import ffmpeg
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.origin import working_source
from transcode.tasks.steady import Changed, require_one_form, steady

_INTEGRATED = re.compile(r"\bI:\s*(-?\d+(?:\.\d+)?) LUFS")


def audio(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Returns `loudness`: integrated, in LUFS (EBU R128), None for silence.

    A film needs its sound and not its loudness: what fails with the measurement is encoded without it, and the result
    says that it is `unmeasured`.
    """
    layout.audio_dir(assignment.root, assignment.film).mkdir(parents=True, exist_ok=True)
    plan = AudioPlan(assignment.known, working_source(assignment))
    try:
        words = _encode_any(assignment, monitor, plan)
    except Failed:
        _clear(assignment)
        _encode_any(assignment, monitor, replace(plan, measured=False))
        return {"loudness": None, "unmeasured": True}
    return {"loudness": loudness(words)}


def _encode_any(assignment: Assignment, monitor: Monitor, plan: AudioPlan) -> str:
    """Encode sound that may change its form on the way; return what ffmpeg said."""
    try:
        return _encode(assignment, monitor, plan)
    except Changed:
        _clear(assignment)
        source, timeline = steady(assignment, monitor)
        return _encode(assignment, monitor, replace(plan, timeline=timeline, source=source))


def _clear(assignment: Assignment) -> None:
    """Remove the pieces of a run that is begun anew, or they would be taken for complete ones."""
    for made in assignment.scratch.glob("*.ts"):
        made.unlink()


def _encode(assignment: Assignment, monitor: Monitor, plan: AudioPlan) -> str:
    """Returns what ffmpeg said. Raises Changed; what is published by then is right."""
    pieces = _Pieces(assignment, monitor, plan.timeline.grid.chunks)
    seconds = ffmpeg.of_seconds(plan.timeline.duration)

    def progress(block: Mapping[str, str]) -> float:
        pieces.publish_complete()
        return seconds(block)

    limits = ffmpeg.whole_film(plan.timeline.duration)
    done = ffmpeg.run(assignment, monitor, plan.argv(), limits, progress, require_one_form)
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
