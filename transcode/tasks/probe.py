"""From a file to a timeline, and to the complete playlists: from here on the film can be played."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from transcode import layout
from transcode.hls import playlists
from transcode.source import damage
from transcode.source.description import Source, describe, timeline
from transcode.source.probe import check, look_at_key_frames
from transcode.source.probe import probe as look_at
from transcode.source.sampling import sample
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.master import publish_master
from transcode.tasks.origin import Copy, recopy, remux, uploaded
from transcode.timeline import Timeline


def probe(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Returns the timeline as JSON: that of an earlier probe, or finished chunks would not fit.

    Of a film that was probed before, it makes again what its other tasks need and do not find.
    """
    if assignment.timeline:
        recopy(assignment, monitor)
        found = assignment.known
    else:
        found = _timeline(assignment, monitor)
    _publish(assignment, found)
    return found.as_json()


def _timeline(assignment: Assignment, monitor: Monitor) -> Timeline:
    source = look_at(uploaded(assignment), assignment.tools)
    if source.seekable:
        return replace(timeline(source), warning=source.warning)
    copy, copied = _copied(assignment, monitor, source, source.sparse)
    damage.check_length(source, copied, copy.pictures)
    warning = damage.judged(_unreadable(Path(assignment.source), source, copy))
    keyed = source.sparse
    if not keyed:
        copied = sample(copy.path, look_at_key_frames(copy.path, copied, assignment.tools), assignment.tools)
        keyed = copied.sparse
    if keyed and not source.sparse:
        copy, copied = _copied(assignment, monitor, source, True)
    if keyed:
        copied = sample(copy.path, copied, assignment.tools)
    return replace(
        timeline(copied.labelled_as(source.copied()), remuxed=True),
        keyed=keyed,
        copied=tuple(stream["index"] for stream in source.copied()),
        warning=" ".join(filter(None, (warning, source.warning))),
    )


def _copied(assignment: Assignment, monitor: Monitor, source: Source, keyed: bool) -> tuple[Copy, Source]:
    copy = remux(assignment, monitor, source, source.copied(), keyed=keyed)
    copied = describe(copy.path, assignment.tools)
    check(copied)
    return copy, copied


def _unreadable(path: Path, source: Source, copy: Copy) -> float:
    """The share of a file without an index that nothing could be made of."""
    if source.sparse:
        return 0.0  # it has one
    if source.of("mov"):
        return damage.behind_boxes(path)
    if source.of("flv", "matroska"):
        return damage.not_copied(path, copy.path) if copy.is_exact else 0.0
    return damage.garbage(path)


def _publish(assignment: Assignment, found: Timeline) -> None:
    root, film = assignment.root, assignment.film
    if not layout.film_dir(root, film).parent.exists():
        uploaded(assignment)  # else the whole volume is away, and nothing is written where it should be
    layout.thumbnail_path(root, film).parent.mkdir(parents=True, exist_ok=True)
    for name in found.rendition_names:
        folder = layout.rendition_dir(root, film, name)
        folder.mkdir(parents=True, exist_ok=True)
        text = playlists.media_playlist(found.grid)
        layout.publish_text(assignment.scratch, folder / layout.MEDIA_PLAYLIST, text)
        layout.to_disk(folder)
    publish_master(replace(assignment, timeline=found.as_json()))
    layout.to_disk(layout.film_dir(root, film).parent)
