"""A run of segments of all renditions, checked against the grid and published one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transcode import layout
from transcode.errors import Lost, MediaError
from transcode.grid import Grid
from transcode.hls import playlists, transport
from transcode.plans.chunk import ChunkPlan
from transcode.tasks import ffmpeg
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.frames import check_frames
from transcode.tasks.master import publish_master_after_chunk
from transcode.tasks.origin import working_source


def chunk(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Returns `bytes`, by rendition."""
    timeline = assignment.known
    plan = ChunkPlan(timeline, assignment.index, working_source(assignment), _sound(assignment))
    for name in timeline.rendition_names:
        (assignment.scratch / name).mkdir()
    done = ffmpeg.run(assignment, monitor, plan.argv(), progress=ffmpeg.of_frames(plan.frames))
    _check_any(assignment, plan, done.last_words)
    made = {
        name: _checked(assignment.scratch / name, timeline.grid, plan.segments) for name in timeline.rendition_names
    }
    sizes = {name: _publish(assignment, name, files, plan.segments) for name, files in made.items()}
    publish_master_after_chunk(assignment, sizes)
    return {"bytes": {name: sum(found.values()) for name, found in sizes.items()}}


def _sound(assignment: Assignment) -> Path | None:
    """Of this chunk. Raises Lost: the chunk was not begun before it was there."""
    if not assignment.known.audio:
        return None
    sound = layout.audio_path(assignment.root, assignment.film, assignment.index)
    if not sound.exists():
        raise Lost("The sound of this part of the film is gone.")
    return sound


def _check_any(assignment: Assignment, plan: ChunkPlan, last_words: str) -> None:
    """Nothing at all comes out of a damaged stretch of the source, and ffmpeg calls that a success."""
    playlist = assignment.scratch / plan.timeline.top.name / layout.MEDIA_PLAYLIST
    if not playlist.exists() or not any(playlists.listed(playlist.read_text()).values()):
        check_frames(0, plan.frames, plan.timeline, plan.segments.start, last_words)


def _checked(folder: Path, grid: Grid, segments: range) -> list[Path]:
    """The files of one rendition. Raises MediaError unless they are exactly those of the grid."""
    made = playlists.listed((folder / layout.MEDIA_PLAYLIST).read_text())
    wanted = {layout.segment_name(number): grid.length(number) for number in segments}
    if made.keys() != wanted.keys() or any(abs(made[name] - wanted[name]) * grid.fps > 1 for name in wanted):
        described = ", ".join(f"{name} {float(length):.3f}s" for name, length in made.items())
        raise MediaError("The encoder did not make the segments it should have made.", last_words=described)
    files = [folder / name for name in wanted]
    # What a disk that was full for a moment leaves out is a block, never a whole number of packets.
    if torn := [file.name for file in files if file.stat().st_size % transport.PACKET]:
        raise MediaError("A segment was not written completely.", last_words=", ".join(torn))
    return files


def _publish(assignment: Assignment, rendition: str, files: list[Path], numbers: range) -> dict[int, int]:
    """Returns the bytes of the segments by their numbers."""
    folder = layout.rendition_dir(assignment.root, assignment.film, rendition)
    sizes = {number: file.stat().st_size for number, file in zip(numbers, files, strict=True)}
    for file in files:
        layout.publish(file, folder / file.name)
    layout.to_disk(folder)
    return sizes
