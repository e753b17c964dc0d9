"""Scripted tasks: what pool children do in tests of the worker. Imports little, because every child imports it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from transcode import paths
from transcode.errors import DiskFull, InputMissing, MediaError, OutputTooLarge, Stopped
from transcode.grid import Grid
from transcode.hls.storyboard import sheet_name
from transcode.ladder import build_ladder
from transcode.presentation import AudioTrack, Presentation, VideoTrack
from transcode.tasks.context import ProgressSink, TaskContext


def make_presentation(seconds: int, *, sound: bool = False) -> Presentation:
    """Return the presentation of a small video: one rendition, a segment every four seconds."""
    fps = Fraction(25)
    audio = (AudioTrack(1, 2),) if sound else ()
    return Presentation(Grid(fps, 25 * seconds), build_ladder(320, 180, fps), VideoTrack(0, 320, 180), audio)


class TaskScript:
    """What scripted tasks shall do, and what they did: files in a folder that pool children share with the test.

    Behaviours by kind of task: `work` and `hang` until the file changes, `ignore stop`, `fail`, `fail permanently`,
    `disk full`, `too large`, `miss input`, `raise bug`, `exit`, `unmeasured` (succeed, but say so); for audio
    also `one part`. None: succeed at once.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / "orders"
        self._folder.mkdir(parents=True, exist_ok=True)

    def set(self, kind: str, order: str) -> None:
        """Set the behaviour of a kind of task."""
        (self._folder / kind).write_text(order)

    def clear(self, kind: str) -> None:
        """Let a kind of task succeed again."""
        (self._folder / kind).unlink()

    def get(self, kind: str) -> str:
        """Return the behaviour of a kind of task, "" for none."""
        with suppress(FileNotFoundError):
            return (self._folder / kind).read_text()
        return ""

    def started(self, kind: str) -> list[str]:
        """Return the index of every started task of this kind, in order."""
        with suppress(FileNotFoundError):
            return (self._folder / f"{kind}.log").read_text().split()
        return []

    def record_start(self, kind: str, index: int) -> None:
        """Record that a task was started."""
        with (self._folder / f"{kind}.log").open("a") as file:
            file.write(f"{index}\n")


def run_scripted_task(assignment: TaskContext, monitor: ProgressSink) -> dict[str, Any]:
    """Do in a pool child what the script says for this kind of task, then publish empty files."""
    script = TaskScript(assignment.media_root)
    script.record_start(assignment.kind, assignment.index)
    done = 0.0
    while (order := script.get(assignment.kind)) in ("work", "hang", "ignore stop"):
        if monitor.is_stop_requested() and order != "ignore stop":
            raise Stopped
        if order == "work":
            done = min(0.9, done + 0.001)
            monitor.report_progress(done)
        (assignment.scratch_dir / "half-made").touch()
        time.sleep(0.01)
    if order == "fail":
        raise MediaError("It failed.", stderr_tail="the last words")
    if order == "fail permanently":
        raise MediaError("This file is not a film.", permanent=True)
    if order == "disk full":
        raise DiskFull
    if order == "too large":
        raise OutputTooLarge("There is no room for it.")
    if order == "miss input":
        raise InputMissing
    if order == "raise bug":
        raise ZeroDivisionError
    if order == "exit":
        os._exit(1)
    return _made(assignment, monitor)


def _made(assignment: TaskContext, monitor: ProgressSink) -> dict[str, Any]:
    root, film = assignment.media_root, assignment.video_id
    if assignment.kind == "probe":
        found = assignment.known_presentation or make_presentation(20)
        if not paths.video_dir(root, film).parent.exists():
            raise MediaError("The volume is away.")
        for name in found.rendition_names:
            folder = paths.rendition_dir(root, film, name)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / paths.MEDIA_PLAYLIST).touch()
        return found.as_json()
    grid = assignment.presentation.grid
    if assignment.kind == "audio":
        paths.chunk_audio_dir(root, film).mkdir(parents=True, exist_ok=True)
        for chunk in range(grid.chunk_count):
            paths.chunk_audio_path(root, film, chunk).touch()
            monitor.report_parts(chunk + 1)
            while TaskScript(root).get("audio") == "one part":
                if monitor.is_stop_requested():
                    raise Stopped
                time.sleep(0.01)
    sound = paths.chunk_audio_path(root, film, assignment.index)
    if assignment.kind == "chunk" and assignment.presentation.audio and not sound.exists():
        raise InputMissing
    numbers = {"chunk": grid.chunk_segments(assignment.index), "segment": range(assignment.index, assignment.index + 1)}
    for name in assignment.presentation.rendition_names:
        for number in numbers.get(assignment.kind, ()):
            paths.segment_path(root, film, name, number).touch()
    for file in _beside(assignment):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return {"unmeasured": True} if TaskScript(root).get(assignment.kind) == "unmeasured" else {}


def _beside(assignment: TaskContext) -> list[Path]:
    """Return the files beside the segments that a task of this kind leaves behind."""
    film, folder = assignment.video_id, paths.video_dir(assignment.media_root, assignment.video_id)
    known, board = assignment.presentation, paths.storyboard_dir(assignment.media_root, film)
    return {
        "thumbnail": [paths.thumbnail_path(assignment.media_root, film)],
        "tracks": [folder / paths.audio_folder_name(n) / paths.MEDIA_PLAYLIST for n in range(1, len(known.audio))],
        "iframes": [folder / name / paths.IFRAME_PLAYLIST for name in known.rendition_names],
        "storyboard": [board / paths.STORYBOARD_INDEX, board / sheet_name(0)],
        "finish": [folder / paths.MASTER_PLAYLIST],
    }.get(assignment.kind, [])
