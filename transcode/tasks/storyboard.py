"""Makes a storyboard when the film's smallest rendition is complete: a part of the last task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transcode import layout
from transcode.errors import MediaError
from transcode.hls.playlists import IFrame
from transcode.hls.storyboard import Storyboard, sheet_name
from transcode.plans.storyboard import StoryboardPlan
from transcode.runner import Run
from transcode.tasks import ffmpeg
from transcode.tasks.assignment import Assignment, Monitor


def make_storyboard(assignment: Assignment, monitor: Monitor, iframes: Mapping[int, IFrame]) -> dict[str, Any]:
    """From the I-frames of the smallest rendition. Returns `pictures`, `sheets`, `width` and `height` of a picture."""
    timeline = assignment.known
    board = Storyboard(timeline.grid, timeline.renditions[0])
    pictures = assignment.scratch / "pictures.ts"
    with pictures.open("wb") as collected:
        for number in board.segments:
            place = layout.segment_path(assignment.root, assignment.film, board.rendition.name, number)
            with place.open("rb") as segment:
                collected.write(segment.read(iframes[number].size))
    argv = [assignment.tools.ffmpeg, *StoryboardPlan(board, pictures).argv()]
    Run(argv, assignment.scratch, ffmpeg.BULK, monitor.stopped)()
    _publish(assignment, board)
    width, height = board.size
    return {"pictures": len(board.segments), "sheets": board.sheets, "width": width, "height": height}


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
