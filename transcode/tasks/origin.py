"""The file that work is done on: the upload itself, or its streams in a container that can be sought in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from transcode import layout
from transcode.assignment import Assignment, Monitor
from transcode.description import Source, describe
from transcode.plans.remux import REMUXED, Copied, RemuxPlan
from transcode.runner import GIB
from transcode.tasks import ffmpeg


def working_source(assignment: Assignment, monitor: Monitor) -> Path:
    """Where to read from. A lost copy is made again."""
    source = Path(assignment.source)
    if not assignment.known.remuxed:
        return source
    copy = layout.remuxed_path(assignment.root, assignment.film)
    if not copy.exists():
        remux(assignment, monitor, describe(source, assignment.tools))
    return copy


def remux(assignment: Assignment, monitor: Monitor, source: Source) -> Path:
    """Copy the streams of picture, sound and text into Matroska; returns the copy's place."""
    streams = [source.picture, *source.sounds(), *source.texts()]
    path = Path(assignment.source)
    plan = RemuxPlan(path, tuple(Copied(one["index"], one["codec_type"], one.get("codec_name", "")) for one in streams))
    size = path.stat().st_size
    limits = replace(ffmpeg.BULK, file_size=2 * size + GIB)
    ffmpeg.run(assignment, monitor, plan.argv(), limits, ffmpeg.of_bytes(size))
    place = layout.remuxed_path(assignment.root, assignment.film)
    layout.publish(assignment.scratch / REMUXED, place)
    return place
