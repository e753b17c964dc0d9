"""I-frame playlists, by which players show pictures while a viewer scrubs; from finished segments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transcode import layout
from transcode.errors import MediaError, Stopped
from transcode.hls import playlists
from transcode.hls.playlists import IFrame
from transcode.hls.transport import first_picture_size
from transcode.tasks.assignment import Assignment, Monitor


def iframes(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Publish one playlist per rendition; return `pictures`, the number in each. The master lists them at the end.

    Raise Lost when a segment is missing.
    """
    timeline, root, film = assignment.known, assignment.root, assignment.film
    for name in timeline.rendition_names:
        segments = [layout.segment_path(root, film, name, number) for number in range(timeline.segments)]
        target = layout.rendition_dir(root, film, name) / layout.IFRAME_PLAYLIST
        text = playlists.iframe_playlist(timeline.grid, _measured(segments, monitor))
        layout.publish_text(assignment.scratch, target, text)
        layout.to_disk(target.parent)
    return {"pictures": timeline.segments}


def _measured(segments: list[Path], monitor: Monitor) -> list[IFrame]:
    """Report each segment as a sign of life: of a film of many hours on a slow disk, all of them take minutes."""
    found = []
    for number, segment in enumerate(segments):
        if monitor.stopped():
            raise Stopped
        found.append(IFrame(number, picture_size(segment)))
        monitor.parts(len(found))
    return found


def picture_size(segment: Path) -> int:
    """Return the bytes up to the end of the first picture. Raise MediaError for a segment without one."""
    try:
        return first_picture_size(segment)
    except ValueError as error:
        raise MediaError("A segment of this film is damaged.", last_words=str(error)) from error
