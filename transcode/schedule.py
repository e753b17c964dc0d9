"""What follows what: which tasks a film needs, in which lane, how soon, and what each weighs in its progress."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from transcode import layout
from transcode.book import FilmEntry, Omissions
from transcode.grid import Grid
from transcode.ledger import Lane, NewTask
from transcode.timeline import Timeline
from transcode.times import Times

# Smaller goes first, within a lane and over all films; of two equals the older one.
_PROBE, _AUDIO, _FINISH, _THUMBNAIL, _CHUNKS, _SUBTITLES, _TRACKS = 10.0, 20.0, 22.0, 25.0, 30.0, 35.0, 40.0

# So far films share the hands, chunk by chunk, so that a short film (some ten minutes) need not wait for the end of a
# long one. Beyond it they are finished one after the other: of a hundred long ones some are ready soon, instead of all
# at the very end, and what they need on the disk while they are in work is needed for few of them at a time.
_SHARED_CHUNKS = 20

# Shares of a film's progress, in seconds of film: sound is some fifty times faster than the picture.
_AUDIO_SHARE = 1 / 50
_SUBTITLES_SHARE = 1 / 500

_CLOSING = ("iframes", "storyboard")  # optional, and made from finished segments
_THUMBNAIL_SHARE = 0.5


def probe() -> NewTask:
    """The first task of every film."""
    return NewTask("probe", "probe", priority=_PROBE, lane=Lane.OPENING, weight=0)


def finish() -> NewTask:
    """The last one, when all others are done."""
    return NewTask("finish", "finish", priority=_FINISH, weight=0)


def closing() -> list[NewTask]:
    """Return the tasks that need every segment, one after another; a film is published without the optional ones."""
    optional = [NewTask(kind, kind, priority=_FINISH, weight=0, optional=True) for kind in _CLOSING]
    return [*optional, finish()]


def segment(rendition: str, number: int) -> NewTask:
    """One segment that a viewer waits for."""
    return NewTask(
        f"segment:{rendition}:{number:04d}", "segment", number, rendition, lane=Lane.SEGMENT, weight=0, limit=2
    )


def opening(entry: FilmEntry, root: Path) -> list[NewTask]:
    """All that can be begun at once for a film in the state that the catalogue knows."""
    if entry.timeline is None:
        return [probe()]
    timeline = Timeline.from_json(entry.timeline)
    waiting = _waiting(entry, timeline.grid)
    tasks = _undone([_thumbnail()], entry)
    if not timeline.audio:
        return tasks + _undone(_beside(entry, timeline), entry) + _chunks(timeline.grid, waiting)
    sounding = [index for index in waiting if layout.audio_path(root, entry.film, index).exists()]
    tasks += [_audio(timeline)] if len(sounding) < len(waiting) else _undone(_beside(entry, timeline), entry)
    return tasks + _chunks(timeline.grid, sounding)


def after(kind: str, entry: FilmEntry, root: Path) -> list[NewTask]:
    """What a finished task makes possible."""
    if kind == "probe":
        return opening(entry, root)
    if kind == "audio" and entry.timeline is not None:
        timeline = Timeline.from_json(entry.timeline)
        return _undone(_beside(entry, timeline), entry) + _chunks(timeline.grid, _waiting(entry, timeline.grid))
    return []


def released(entry: FilmEntry, before: int, parts: int) -> list[NewTask]:
    """The chunks whose sound is there when the run of sound has finished this many files, `before` of them earlier."""
    if entry.timeline is None:
        return []
    grid = Timeline.from_json(entry.timeline).grid
    return _chunks(grid, (index for index in _waiting(entry, grid) if before <= index < parts))


def weights(entry: FilmEntry) -> tuple[float, float]:
    """Of all tasks of a film, and of those among them that are done."""
    if entry.timeline is None:
        return 0.0, 0.0
    timeline = Timeline.from_json(entry.timeline)
    once = [_thumbnail(), *_beside(entry, timeline), *([_audio(timeline)] if timeline.audio else [])]
    chunks = _chunks(timeline.grid, range(timeline.grid.chunks))
    done = [task for task in once if task.kind in entry.done_kinds]
    done += [task for task in chunks if task.index in entry.chunks_done]
    return sum(task.weight for task in (*once, *chunks)), sum(task.weight for task in done)


def is_done(entry: FilmEntry) -> bool:
    """Whether every chunk is final, and the end of the work."""
    if entry.timeline is None or "finish" not in entry.done_kinds:
        return False
    return not _waiting(entry, Timeline.from_json(entry.timeline).grid)


def is_encoded(entry: FilmEntry) -> bool:
    """Return whether every chunk is final, whatever is missing beside them."""
    return entry.timeline is not None and not _waiting(entry, Timeline.from_json(entry.timeline).grid)


def needs_source(kinds: Iterable[str]) -> bool:
    """Return whether any of these kinds of tasks reads the source, and not finished segments alone."""
    return not set(kinds) <= {*_CLOSING, "finish"}


def retry_at(omissions: Omissions, times: Times) -> float:
    """Return the Unix time from which optional tasks that failed are tried again, infinity after the last try."""
    if omissions.tries >= times.optional_tries:
        return math.inf
    return omissions.tried_at + min(times.optional_most, times.optional_first * times.optional_growth**omissions.tries)


def seconds(entry: FilmEntry) -> float:
    """Return how long a film is, 0 before it was probed."""
    return Timeline.from_json(entry.timeline).duration if entry.timeline is not None else 0.0


def chunk_of(entry: FilmEntry, number: int) -> int | None:
    """The chunk that a segment is in."""
    return Timeline.from_json(entry.timeline).grid.chunk_of(number) if entry.timeline is not None else None


def chunks_around(entry: FilmEntry, number: int) -> list[str]:
    """Ids of the chunk that a segment is in and of the one behind it."""
    if entry.timeline is None:
        return []
    grid = Timeline.from_json(entry.timeline).grid
    here = grid.chunk_of(number)
    return [_chunk_id(index) for index in (here, here + 1) if index < grid.chunks and index not in entry.chunks_done]


def _waiting(entry: FilmEntry, grid: Grid) -> list[int]:
    return [index for index in range(grid.chunks) if index not in entry.chunks_done]


def _chunks(grid: Grid, indexes: Iterable[int]) -> list[NewTask]:
    return [
        NewTask(_chunk_id(index), "chunk", index, priority=_soon(index), weight=_seconds(grid, index))
        for index in indexes
    ]


def _soon(chunk: int) -> float:
    return _CHUNKS + min(chunk, _SHARED_CHUNKS)


def _chunk_id(index: int) -> str:
    return f"chunk:{index:04d}"


def _seconds(grid: Grid, chunk: int) -> float:
    segments = grid.chunk(chunk)
    return float(grid.start(segments.stop) - grid.start(segments.start))


def _audio(timeline: Timeline) -> NewTask:
    return NewTask("audio", "audio", priority=_AUDIO, lane=Lane.SOUND, weight=timeline.duration * _AUDIO_SHARE)


def _thumbnail() -> NewTask:
    return NewTask("thumbnail", "thumbnail", priority=_THUMBNAIL, weight=_THUMBNAIL_SHARE, optional=True)


def _beside(entry: FilmEntry, timeline: Timeline) -> list[NewTask]:
    """What a film has beside its renditions, and is published without when it cannot be made.

    It reads the whole source, so it comes after the sound: before, it would take the hands that the first chunks need.
    """
    found = []
    if timeline.subtitles:
        weight = timeline.duration * _SUBTITLES_SHARE
        found.append(NewTask("subtitles", "subtitles", priority=_SUBTITLES, weight=weight, optional=True))
    if len(timeline.audio) > 1:
        weight = timeline.duration * _AUDIO_SHARE * (len(timeline.audio) - 1)
        found.append(NewTask("tracks", "tracks", priority=_TRACKS, weight=weight, optional=True))
    if entry.results.get("audio", {}).get("unmeasured"):
        weight = timeline.duration * _AUDIO_SHARE
        found.append(NewTask("loudness", "loudness", priority=_TRACKS, weight=weight, optional=True))
    return found


def _undone(tasks: list[NewTask], entry: FilmEntry) -> list[NewTask]:
    return [task for task in tasks if task.kind not in entry.done_kinds]
