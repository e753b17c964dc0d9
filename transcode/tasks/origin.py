"""The file that work is done on: the upload itself, or its streams in a container that can be sought in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transcode import layout
from transcode.errors import Lost, MediaError
from transcode.plans.remux import REMUXED, Copied, RemuxPlan
from transcode.runner import GIB
from transcode.source.description import Source, describe
from transcode.tasks import ffmpeg
from transcode.tasks.assignment import Assignment, Monitor

_LARGEST = 256 * GIB  # of an encoded copy, which may be larger than its source


@dataclass(frozen=True, slots=True)
class Copy:
    """The streams of a source in Matroska; how many pictures, and whether these are all streams, byte for byte."""

    path: Path
    pictures: int
    is_exact: bool


def working_source(assignment: Assignment) -> Path:
    """Where to read from. Raises Lost when the copy is gone, and MediaError when the upload is."""
    if not assignment.known.remuxed:
        return uploaded(assignment)
    copy = layout.remuxed_path(assignment.root, assignment.film)
    if not copy.exists():
        raise Lost("The copy of this film that work is done on is gone.")
    return copy


def uploaded(assignment: Assignment) -> Path:
    """The upload itself. Raises MediaError when it is gone: nothing can bring it back, but perhaps a disk is away."""
    source = Path(assignment.source)
    if not source.exists():
        raise MediaError("The file that was uploaded is gone.", last_words=str(source))
    return source


def recopy(assignment: Assignment, monitor: Monitor) -> None:
    """Make the copy again that work on a known film is done on, if it needs one and has none."""
    known = assignment.known
    if known.remuxed and not layout.remuxed_path(assignment.root, assignment.film).exists():
        source = describe(uploaded(assignment), assignment.tools)
        every = {stream["index"]: stream for stream in source.streams}
        streams = [every[index] for index in known.copied] or source.copied_by_older_versions()
        remux(assignment, monitor, source, streams, keyed=known.keyed)


def remux(
    assignment: Assignment,
    monitor: Monitor,
    source: Source,
    streams: Sequence[Mapping[str, Any]],
    *,
    keyed: bool = False,
) -> Copy:
    """Copy streams of picture, sound and text into Matroska; `keyed`: the picture with key frames of its own."""
    copied = tuple(
        Copied(
            one["index"], one["codec_type"], one.get("codec_name", ""),
            keyed=keyed and one is source.picture, timed=source.of("mov"),
        )
        for one in streams
    )  # fmt: skip
    path = Path(assignment.source)
    size, pictures = path.stat().st_size, 0.0
    written = ffmpeg.of_reading(source.length or 1.0, monitor) if keyed else ffmpeg.of_bytes(size)

    def progress(block: Mapping[str, str]) -> float:
        nonlocal pictures
        pictures = ffmpeg.number(block, "frame")
        return written(block)

    ffmpeg.require_room(assignment, size)
    limits = replace(ffmpeg.whole_film(source.length), file_size=_LARGEST if keyed else 2 * size + GIB)
    plan = RemuxPlan(path, copied, source.of("mpegts"), tuple(source.look_longer))
    ffmpeg.run(assignment, monitor, plan.argv(), limits, progress)
    place = layout.remuxed_path(assignment.root, assignment.film)
    layout.publish(assignment.scratch / REMUXED, place)
    is_exact = len(copied) == len(source.streams) and all(one.becomes == "copy" for one in copied)
    return Copy(place, int(pictures), is_exact)
