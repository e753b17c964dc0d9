"""Scripted tasks, which pool children run in tests of the worker. Imports little, because every child imports it."""

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
from transcode.task_kinds import TaskKind
from transcode.tasks.context import ProgressSink, TaskContext


def make_presentation(seconds: int, *, sound: bool = False) -> Presentation:
    """Return the presentation of a small video: one rendition, a segment every four seconds."""
    fps = Fraction(25)
    audio = (AudioTrack(1, 2),) if sound else ()
    return Presentation(Grid(fps, 25 * seconds), build_ladder(320, 180, fps), VideoTrack(0, 320, 180), audio)


class TaskScript:
    """The behaviours of scripted tasks and a log of their starts: files that pool children share with the test.

    A kind of task has one behaviour: `work`, `hang` or `ignore stop` (each until it is changed), `fail`,
    `fail permanently`, `disk full`, `too large`, `miss input`, `raise bug`, `exit`, `unmeasured` (report loudness as
    unmeasured), or for audio `one part` (wait after each part). Without a behaviour, tasks succeed at once.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / "behaviours"
        self._folder.mkdir(parents=True, exist_ok=True)

    def set(self, kind: str, behaviour: str) -> None:
        """Set the behaviour of a kind of task."""
        (self._folder / kind).write_text(behaviour)

    def clear(self, kind: str) -> None:
        """Remove the behaviour of a kind of task, which succeeds from then on."""
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


def run_scripted_task(context: TaskContext, progress_sink: ProgressSink) -> dict[str, Any]:
    """Behave as the script says for this kind of task, then publish empty files."""
    script = TaskScript(context.media_root)
    script.record_start(context.kind, context.index)
    progress = 0.0
    while (behaviour := script.get(context.kind)) in ("work", "hang", "ignore stop"):
        if progress_sink.is_stop_requested() and behaviour != "ignore stop":
            raise Stopped
        if behaviour == "work":
            progress = min(0.9, progress + 0.001)
            progress_sink.report_progress(progress)
        (context.scratch_dir / "half-made").touch()
        time.sleep(0.01)
    _fail(behaviour)
    return _publish(context, progress_sink)


def _fail(behaviour: str) -> None:
    """Fail in the way that a behaviour names, if it names one."""
    if behaviour == "fail":
        raise MediaError("It failed.", stderr_tail="the last words")
    if behaviour == "fail permanently":
        raise MediaError("This file is not a film.", permanent=True)
    if behaviour == "disk full":
        raise DiskFull
    if behaviour == "too large":
        raise OutputTooLarge("There is no room for it.")
    if behaviour == "miss input":
        raise InputMissing
    if behaviour == "raise bug":
        raise ZeroDivisionError
    if behaviour == "exit":
        os._exit(1)


def _publish(context: TaskContext, progress_sink: ProgressSink) -> dict[str, Any]:
    """Publish the files of a task, all of them empty, and return its result."""
    if context.kind == TaskKind.PROBE:
        return _publish_presentation(context)
    root, video_id, index = context.media_root, context.video_id, context.index
    grid = context.presentation.grid
    if context.kind == TaskKind.AUDIO:
        _publish_audio(context, progress_sink)
    audio_path = paths.chunk_audio_path(root, video_id, index)
    if context.kind == TaskKind.CHUNK and context.presentation.audio and not audio_path.exists():
        raise InputMissing
    numbers = {TaskKind.CHUNK: grid.chunk_segments(index), TaskKind.SEGMENT: range(index, index + 1)}
    for name in context.presentation.rendition_names:
        for number in numbers.get(TaskKind(context.kind), ()):
            paths.segment_path(root, video_id, name, number).touch()
    for path in _optional_files(context):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return {"unmeasured": True} if TaskScript(root).get(context.kind) == "unmeasured" else {}


def _publish_presentation(context: TaskContext) -> dict[str, Any]:
    root, video_id = context.media_root, context.video_id
    presentation = context.known_presentation or make_presentation(20)
    if not paths.video_dir(root, video_id).parent.exists():
        raise MediaError("The volume is away.")
    for name in presentation.rendition_names:
        folder = paths.rendition_dir(root, video_id, name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / paths.MEDIA_PLAYLIST).touch()
    return presentation.as_json()


def _publish_audio(context: TaskContext, progress_sink: ProgressSink) -> None:
    root, video_id = context.media_root, context.video_id
    paths.chunk_audio_dir(root, video_id).mkdir(parents=True, exist_ok=True)
    for chunk in range(context.presentation.grid.chunk_count):
        paths.chunk_audio_path(root, video_id, chunk).touch()
        progress_sink.report_parts(chunk + 1)
        while TaskScript(root).get(TaskKind.AUDIO) == "one part":
            if progress_sink.is_stop_requested():
                raise Stopped
            time.sleep(0.01)


def _optional_files(context: TaskContext) -> list[Path]:
    """Return the files other than segments that a task of this kind publishes."""
    root, video_id, presentation = context.media_root, context.video_id, context.presentation
    folder, storyboard = paths.video_dir(root, video_id), paths.storyboard_dir(root, video_id)
    track_folders = [folder / paths.audio_folder_name(number) for number in range(1, len(presentation.audio))]
    return {
        TaskKind.THUMBNAIL: [paths.thumbnail_path(root, video_id)],
        TaskKind.ALTERNATE_AUDIO: [track / paths.MEDIA_PLAYLIST for track in track_folders],
        TaskKind.IFRAMES: [folder / name / paths.IFRAME_PLAYLIST for name in presentation.rendition_names],
        TaskKind.STORYBOARD: [storyboard / paths.STORYBOARD_INDEX, storyboard / sheet_name(0)],
        TaskKind.FINALIZE: [folder / paths.MASTER_PLAYLIST],
    }.get(TaskKind(context.kind), [])
