"""When every segment is there: measure, and publish the final master playlist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transcode import layout
from transcode.errors import Lost
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.master import publish_master


def finish(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Returns `bytes` and measured bandwidths in bits per second, by rendition, and what lies beside them."""
    timeline, root, film = assignment.known, assignment.root, assignment.film
    sizes = {}
    for name in timeline.rendition_names:
        segments = [layout.segment_path(root, film, name, number) for number in range(timeline.segments)]
        sizes[name] = _size(segments, monitor)
    master = publish_master(assignment, is_complete=True)
    return {
        "bytes": sizes,
        "bandwidths": {name: found.stream.peak for name, found in master.renditions.items()},
        "audio": list(master.beside.audio),
        "subtitles": list(master.beside.subtitles),
    }


def _size(segments: list[Path], monitor: Monitor) -> int:
    """Each one looked at is a sign of life, for a disk may be slow."""
    size = 0
    try:
        for count, segment in enumerate(segments, 1):
            size += segment.stat().st_size
            monitor.parts(count)
    except FileNotFoundError as error:
        raise Lost("A segment of this film is missing.", last_words=str(error)) from error
    return size
