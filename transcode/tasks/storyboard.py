"""The storyboard: small pictures for scrubbing, made when the film's smallest rendition is complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transcode import layout
from transcode.errors import MediaError, Stopped
from transcode.hls.storyboard import Storyboard, sheet_name
from transcode.plans.storyboard import StoryboardPlan
from transcode.runner import Run
from transcode.tasks import ffmpeg
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.iframes import picture_size


def storyboard(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """From the I-frames of the smallest rendition. Returns `pictures`, `sheets`, `width` and `height` of a picture."""
    timeline = assignment.known
    board = Storyboard(timeline.grid, timeline.renditions[0])
    pictures = _collected(assignment, monitor, board)
    argv = [assignment.tools.ffmpeg, *StoryboardPlan(board, pictures).argv()]
    Run(argv, assignment.scratch, ffmpeg.BULK, monitor.stopped)()
    _publish(assignment, board)
    width, height = board.size
    return {"pictures": len(board.segments), "sheets": board.sheets, "width": width, "height": height}


def _collected(assignment: Assignment, monitor: Monitor, board: Storyboard) -> Path:
    """Write the first pictures of the segments into one file. Raise Lost when a segment is missing."""
    pictures = assignment.scratch / "pictures.ts"
    with pictures.open("wb") as collected:
        for count, number in enumerate(board.segments, 1):
            if monitor.stopped():
                raise Stopped
            place = layout.segment_path(assignment.root, assignment.film, board.rendition.name, number)
            with place.open("rb") as segment:
                collected.write(segment.read(picture_size(place)))
            monitor.parts(count)
    return pictures


def _publish(assignment: Assignment, board: Storyboard) -> None:
    """The sheets, then the index: what is listed is there."""
    place = layout.storyboard_dir(assignment.root, assignment.film)
    place.mkdir(exist_ok=True)
    made = [assignment.scratch / sheet_name(number) for number in range(board.sheets)]
    if missing := [file.name for file in made if not file.exists()]:
        raise MediaError("Pictures of the storyboard are missing.", last_words=", ".join(missing))
    for file in made:
        layout.publish(file, place / file.name)
    layout.publish_text(assignment.scratch, place / layout.STORYBOARD_INDEX, board.index())
    layout.to_disk(place)
