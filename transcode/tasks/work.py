"""One task, done in a process of the pool: from an assignment to files in their places and a small result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transcode.errors import Lost, MediaError, Stopped, of_os_error
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.audio import audio
from transcode.tasks.chunk import chunk
from transcode.tasks.finish import finish
from transcode.tasks.iframes import iframes
from transcode.tasks.loudness import measure_loudness
from transcode.tasks.probe import probe
from transcode.tasks.segment import segment
from transcode.tasks.storyboard import storyboard
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
    "loudness": measure_loudness,
    "iframes": iframes,
    "storyboard": storyboard,
    "finish": finish,
}


def perform(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Do it. Repeatable: the same task writes the same files again. Raises MediaError or Stopped."""
    try:
        result = TASKS[assignment.kind](assignment, monitor)
    except FileNotFoundError as error:
        if monitor.stopped():
            raise Stopped from error
        raise _gone(error, assignment.scratch) from error
    except OSError as error:
        raise of_os_error(error) from error
    monitor.progress(1.0)
    return result


def _gone(error: FileNotFoundError, scratch: Path) -> MediaError:
    """What other tasks wrote is lost; what this attempt should have written itself was never made.

    Whoever renames has seen that the file is there: it is the folder of the new place that is not.
    """
    place = Path(error.filename2 or error.filename or scratch)
    kind = MediaError if place.is_relative_to(scratch) else Lost
    return kind(last_words=str(error))
