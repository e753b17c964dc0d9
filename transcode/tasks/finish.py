"""When every segment is there: measure, and publish the final playlists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transcode import layout
from transcode.errors import Lost, Stopped
from transcode.hls import playlists
from transcode.hls.playlists import IFrame
from transcode.hls.transport import first_picture_size
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.master import publish_master
from transcode.tasks.storyboard import make_storyboard


def finish(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Returns `bytes` and measured bandwidths in bits per second, by rendition, and what lies beside them."""
    timeline, root, film = assignment.known, assignment.root, assignment.film
    sizes, iframes = {}, {}
    for name in timeline.rendition_names:
        segments = [layout.segment_path(root, film, name, number) for number in range(timeline.segments)]
        sizes[name], iframes[name] = _size(segments), _iframes(segments, monitor)
        target = layout.rendition_dir(root, film, name) / layout.IFRAME_PLAYLIST
        layout.publish_text(assignment.scratch, target, playlists.iframe_playlist(timeline.grid, iframes[name]))
        layout.to_disk(target.parent)
    smallest = {iframe.segment: iframe for iframe in iframes[timeline.rendition_names[0]]}
    storyboard = make_storyboard(assignment, monitor, smallest)
    master = publish_master(assignment)
    return {
        "bytes": sizes,
        "bandwidths": {name: found.stream.peak for name, found in master.renditions.items()},
        "storyboard": storyboard,
        "audio": list(master.beside.audio),
        "subtitles": list(master.beside.subtitles),
    }


def _size(segments: list[Path]) -> int:
    try:
        return sum(segment.stat().st_size for segment in segments)
    except FileNotFoundError as error:
        raise Lost("A segment of this film is missing.", last_words=str(error)) from error


def _iframes(segments: list[Path], monitor: Monitor) -> list[IFrame]:
    """Each one read is a sign of life: of a film of many hours on a slow disk, all of them take minutes."""
    found = []
    for number, segment in enumerate(segments):
        if monitor.stopped():
            raise Stopped
        found.append(IFrame(number, first_picture_size(segment)))
        monitor.parts(len(found))
    return found
