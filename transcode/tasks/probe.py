"""From a file to a timeline, and to the complete playlists: from here on the film can be played."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from transcode import layout, playlists
from transcode.assignment import Assignment, Monitor
from transcode.description import describe, timeline
from transcode.probe import check
from transcode.probe import probe as look_at
from transcode.tasks.beside import publish_master
from transcode.tasks.origin import remux
from transcode.timeline import Timeline


def probe(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Returns the timeline as JSON: that of an earlier probe, or finished chunks would not fit."""
    found = assignment.known if assignment.timeline else _timeline(assignment, monitor)
    _publish(assignment, found)
    return found.as_json()


def _timeline(assignment: Assignment, monitor: Monitor) -> Timeline:
    source = look_at(Path(assignment.source), assignment.tools)
    if source.seekable:
        return timeline(source)
    copied = describe(remux(assignment, monitor, source), assignment.tools)
    check(copied)
    return timeline(copied, remuxed=True)


def _publish(assignment: Assignment, found: Timeline) -> None:
    root, film = assignment.root, assignment.film
    layout.thumbnail_path(root, film).parent.mkdir(parents=True, exist_ok=True)
    for name in found.rendition_names:
        folder = layout.rendition_dir(root, film, name)
        folder.mkdir(parents=True, exist_ok=True)
        text = playlists.media_playlist(found.grid)
        layout.publish_text(assignment.scratch, folder / layout.MEDIA_PLAYLIST, text)
        layout.to_disk(folder)
    publish_master(replace(assignment, timeline=found.as_json()))
    layout.to_disk(layout.film_dir(root, film).parent)
