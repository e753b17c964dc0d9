"""What follows what: which tasks a film needs, in which lane, how soon, and what each weighs in its progress."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from transcode import paths
from transcode.grid import Grid
from transcode.ledger import NewTask, Queue
from transcode.presentation import Presentation
from transcode.repository import Omissions, VideoRecord
from transcode.task_kinds import TaskKind
from transcode.timing import Timing

# Smaller goes first, within a lane and over all films; of two equals the older one.
(
    _PROBE_PRIORITY,
    _AUDIO_PRIORITY,
    _FINALIZE_PRIORITY,
    _THUMBNAIL_PRIORITY,
    _CHUNK_PRIORITY_BASE,
    _SUBTITLES_PRIORITY,
    _ALTERNATE_AUDIO_PRIORITY,
) = 10.0, 20.0, 22.0, 25.0, 30.0, 35.0, 40.0

# So far films share the hands, chunk by chunk, so that a short film (some ten minutes) need not wait for the end of a
# long one. Beyond it they are finished one after the other: of a hundred long ones some are ready soon, instead of all
# at the very end, and what they need on the disk while they are in work is needed for few of them at a time.
_INTERLEAVED_CHUNKS = 20

# Shares of a film's progress, in seconds of film: sound is some fifty times faster than the picture.
_AUDIO_WEIGHT_PER_S = 1 / 50
_SUBTITLES_WEIGHT_PER_S = 1 / 500

_CLOSING = (TaskKind.IFRAMES, TaskKind.STORYBOARD)  # optional, and made from finished segments
_THUMBNAIL_WEIGHT = 0.5


def probe_task() -> NewTask:
    """The first task of every film."""
    return NewTask(TaskKind.PROBE, TaskKind.PROBE, priority=_PROBE_PRIORITY, queue=Queue.PROBE, weight=0)


def finalize_task() -> NewTask:
    """The last one, when all others are done."""
    return NewTask(TaskKind.FINALIZE, TaskKind.FINALIZE, priority=_FINALIZE_PRIORITY, weight=0)


def closing() -> list[NewTask]:
    """Return the tasks that need every segment, one after another; a film is published without the optional ones."""
    optional = [NewTask(kind, kind, priority=_FINALIZE_PRIORITY, weight=0, optional=True) for kind in _CLOSING]
    return [*optional, finalize_task()]


def segment_task(rendition: str, number: int) -> NewTask:
    """One segment that a viewer waits for."""
    return NewTask(
        f"segment:{rendition}:{number:04d}",
        TaskKind.SEGMENT,
        number,
        rendition,
        queue=Queue.ON_DEMAND,
        weight=0,
        max_attempts=2,
    )


def initial_tasks(record: VideoRecord, media_root: Path) -> list[NewTask]:
    """All that can be begun at once for a film in the state that the catalogue knows."""
    presentation = record.presentation
    if presentation is None:
        return [probe_task()]
    waiting = _pending_chunks(record, presentation.grid)
    tasks = _without_done([_thumbnail_task()], record)
    optional_tasks = _without_done(_optional_tasks(record, presentation), record)
    if not presentation.audio:
        return tasks + optional_tasks + _chunk_tasks(presentation.grid, waiting)
    sounding = [index for index in waiting if paths.chunk_audio_path(media_root, record.video_id, index).exists()]
    tasks += [_audio_task(presentation)] if len(sounding) < len(waiting) else optional_tasks
    return tasks + _chunk_tasks(presentation.grid, sounding)


def follow_ups(kind: str, record: VideoRecord, media_root: Path) -> list[NewTask]:
    """What a finished task makes possible."""
    if kind == TaskKind.PROBE:
        return initial_tasks(record, media_root)
    presentation = record.presentation
    if kind == TaskKind.AUDIO and presentation is not None:
        chunks = _chunk_tasks(presentation.grid, _pending_chunks(record, presentation.grid))
        return _without_done(_optional_tasks(record, presentation), record) + chunks
    return []


def unblocked_chunks(record: VideoRecord, parts_before: int, parts_done: int) -> list[NewTask]:
    """The chunks whose sound is there when the run of sound has finished this many files, `before` of them earlier."""
    if record.presentation is None:
        return []
    grid = record.presentation.grid
    return _chunk_tasks(grid, (index for index in _pending_chunks(record, grid) if parts_before <= index < parts_done))


def weights(record: VideoRecord) -> tuple[float, float]:
    """Of all tasks of a film, and of those among them that are done."""
    presentation = record.presentation
    if presentation is None:
        return 0.0, 0.0
    audio_tasks = [_audio_task(presentation)] if presentation.audio else []
    once = [_thumbnail_task(), *_optional_tasks(record, presentation), *audio_tasks]
    chunks = _chunk_tasks(presentation.grid, range(presentation.grid.chunk_count))
    done = [task for task in once if task.kind in record.tasks_done]
    done += [task for task in chunks if task.index in record.chunks_done]
    return sum(task.weight for task in (*once, *chunks)), sum(task.weight for task in done)


def is_done(record: VideoRecord) -> bool:
    """Whether every chunk is final, and the end of the work."""
    if record.presentation is None or TaskKind.FINALIZE not in record.tasks_done:
        return False
    return not _pending_chunks(record, record.presentation.grid)


def is_encoded(entry: VideoRecord) -> bool:
    """Return whether every chunk is final, whatever is missing beside them."""
    return entry.presentation is not None and not _pending_chunks(entry, entry.presentation.grid)


def needs_source(kinds: Iterable[str]) -> bool:
    """Return whether any of these kinds of tasks reads the source, and not finished segments alone."""
    return not set(kinds) <= {*_CLOSING, TaskKind.FINALIZE}


def retry_at(omissions: Omissions, times: Timing) -> float:
    """Return the Unix time from which optional tasks that failed are tried again, infinity after the last try."""
    if omissions.tries >= times.max_optional_retries:
        return math.inf
    return omissions.tried_at + min(
        times.max_optional_retry_delay_s, times.optional_retry_delay_s * times.optional_retry_growth**omissions.tries
    )


def seconds(entry: VideoRecord) -> float:
    """Return how long a film is, 0 before it was probed."""
    return entry.presentation.duration if entry.presentation is not None else 0.0


def chunk_of(record: VideoRecord, number: int) -> int | None:
    """The chunk that a segment is in."""
    return record.presentation.grid.chunk_of(number) if record.presentation is not None else None


def nearby_chunks(record: VideoRecord, number: int) -> list[str]:
    """Ids of the chunk that a segment is in and of the one behind it."""
    if record.presentation is None:
        return []
    grid = record.presentation.grid
    here = grid.chunk_of(number)
    return [
        _chunk_id(index) for index in (here, here + 1) if index < grid.chunk_count and index not in record.chunks_done
    ]


def _pending_chunks(record: VideoRecord, grid: Grid) -> list[int]:
    return [index for index in range(grid.chunk_count) if index not in record.chunks_done]


def _chunk_tasks(grid: Grid, indexes: Iterable[int]) -> list[NewTask]:
    return [
        NewTask(
            _chunk_id(index),
            TaskKind.CHUNK,
            index,
            priority=_chunk_priority(index),
            weight=_chunk_duration(grid, index),
        )
        for index in indexes
    ]


def _chunk_priority(chunk: int) -> float:
    return _CHUNK_PRIORITY_BASE + min(chunk, _INTERLEAVED_CHUNKS)


def _chunk_id(index: int) -> str:
    return f"chunk:{index:04d}"


def _chunk_duration(grid: Grid, chunk: int) -> float:
    segments = grid.chunk_segments(chunk)
    return float(grid.segment_start(segments.stop) - grid.segment_start(segments.start))


def _audio_task(presentation: Presentation) -> NewTask:
    return NewTask(
        TaskKind.AUDIO,
        TaskKind.AUDIO,
        priority=_AUDIO_PRIORITY,
        queue=Queue.AUDIO,
        weight=presentation.duration * _AUDIO_WEIGHT_PER_S,
    )


def _thumbnail_task() -> NewTask:
    return NewTask(
        TaskKind.THUMBNAIL, TaskKind.THUMBNAIL, priority=_THUMBNAIL_PRIORITY, weight=_THUMBNAIL_WEIGHT, optional=True
    )


def _optional_tasks(entry: VideoRecord, presentation: Presentation) -> list[NewTask]:
    """What a film has beside its renditions, and is published without when it cannot be made.

    It reads the whole source, so it comes after the sound: before, it would take the hands that the first chunks need.
    """
    found = []
    if presentation.subtitles:
        weight = presentation.duration * _SUBTITLES_WEIGHT_PER_S
        found.append(
            NewTask(TaskKind.SUBTITLES, TaskKind.SUBTITLES, priority=_SUBTITLES_PRIORITY, weight=weight, optional=True)
        )
    if len(presentation.audio) > 1:
        weight = presentation.duration * _AUDIO_WEIGHT_PER_S * (len(presentation.audio) - 1)
        found.append(
            NewTask(
                TaskKind.ALTERNATE_AUDIO,
                TaskKind.ALTERNATE_AUDIO,
                priority=_ALTERNATE_AUDIO_PRIORITY,
                weight=weight,
                optional=True,
            )
        )
    if entry.task_results.get(TaskKind.AUDIO, {}).get("unmeasured"):
        weight = presentation.duration * _AUDIO_WEIGHT_PER_S
        found.append(
            NewTask(
                TaskKind.LOUDNESS, TaskKind.LOUDNESS, priority=_ALTERNATE_AUDIO_PRIORITY, weight=weight, optional=True
            )
        )
    return found


def _without_done(tasks: list[NewTask], record: VideoRecord) -> list[NewTask]:
    return [task for task in tasks if task.kind not in record.tasks_done]
