"""One segment of one rendition, at once; the chunk that it belongs to replaces it later."""

from __future__ import annotations

from typing import Any

from transcode import layout
from transcode.errors import MediaError
from transcode.hls.transport import count_pictures
from transcode.plans.segment import SEGMENT, SegmentPlan
from transcode.tasks import ffmpeg
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.frames import check_frames
from transcode.tasks.origin import working_source


def segment(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Returns `is_new`: whether there was nothing in its place, neither before nor after the work."""
    timeline, rendition = assignment.known, assignment.rendition
    if rendition not in timeline.rendition_names or not 0 <= assignment.index < timeline.segments:
        raise MediaError("There is no such segment.", hopeless=True)
    place = layout.segment_path(assignment.root, assignment.film, rendition, assignment.index)
    if place.exists():  # its chunk was quicker
        return {"is_new": False}
    sound = layout.audio_path(assignment.root, assignment.film, timeline.grid.chunk_of(assignment.index))
    plan = SegmentPlan(
        timeline, assignment.index, rendition, working_source(assignment), sound if sound.exists() else None
    )
    progress = ffmpeg.of_frames(plan.frames)
    ffmpeg.run(assignment, monitor, plan.argv(), ffmpeg.URGENT, progress)
    check_frames(count_pictures(assignment.scratch / SEGMENT), plan.frames, timeline, assignment.index)
    return {"is_new": layout.publish_new(assignment.scratch / SEGMENT, place)}
