"""One task, done in a process of the pool: from an assignment to files in their places and a small result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transcode.assignment import Assignment, Monitor
from transcode.errors import MediaError, Stopped, of_os_error
from transcode.tasks.audio import audio
from transcode.tasks.chunk import chunk
from transcode.tasks.finish import finish
from transcode.tasks.probe import probe
from transcode.tasks.segment import segment
from transcode.tasks.subtitles import subtitles
from transcode.tasks.thumbnail import thumbnail
from transcode.tasks.tracks import tracks

Task = Callable[[Assignment, Monitor], dict[str, Any]]

TASKS: Mapping[str, Task] = {
    "probe": probe,
    "audio": audio,
    "chunk": chunk,
    "segment": segment,
    "thumbnail": thumbnail,
    "tracks": tracks,
    "subtitles": subtitles,
    "finish": finish,
}


def perform(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Do it. Repeatable: the same task writes the same files again. Raises MediaError or Stopped."""
    try:
        result = TASKS[assignment.kind](assignment, monitor)
    except FileNotFoundError as error:
        if monitor.stopped():
            raise Stopped from error
        raise MediaError("A file of this film is gone.", last_words=str(error)) from error
    except OSError as error:
        raise of_os_error(error) from error
    monitor.progress(1.0)
    return result
