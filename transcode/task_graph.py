"""The task graph of a video: which tasks it needs, what they depend on, their queues, priorities and weights."""

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

# Smaller priorities go first, within a queue and across videos; of two equals the older task.
(
    _PROBE_PRIORITY,
    _AUDIO_PRIORITY,
    _FINALIZE_PRIORITY,
    _THUMBNAIL_PRIORITY,
    _CHUNK_PRIORITY_BASE,
    _SUBTITLES_PRIORITY,
    _ALTERNATE_AUDIO_PRIORITY,
) = 10.0, 20.0, 22.0, 25.0, 30.0, 35.0, 40.0

# The first chunks of all videos are interleaved, so that a short video (some ten minutes) need not wait for the end of
# a long one. Beyond them, videos are finished one after the other: of a hundred long ones some are ready soon, instead
# of all at the very end, and only a few at a time need scratch space.
_INTERLEAVED_CHUNKS = 20

# Weights are in seconds of video, by which chunks are weighed: audio encodes about fifty times faster than video.
_AUDIO_WEIGHT_PER_S = 1 / 50
_SUBTITLES_WEIGHT_PER_S = 1 / 500

_CLOSING = (TaskKind.IFRAMES, TaskKind.STORYBOARD)  # optional tasks that read finished segments
_THUMBNAIL_WEIGHT = 0.5


def probe_task() -> NewTask:
    """Return the first task of every job."""
    return NewTask(TaskKind.PROBE, TaskKind.PROBE, priority=_PROBE_PRIORITY, queue=Queue.PROBE, weight=0)


def finalize_task() -> NewTask:
    """Return the last task of every job."""
    return NewTask(TaskKind.FINALIZE, TaskKind.FINALIZE, priority=_FINALIZE_PRIORITY, weight=0)


def closing() -> list[NewTask]:
    """Return the tasks that need every segment, in order.

    The video is published without an optional one that fails for good.
    """
    optional = [NewTask(kind, kind, priority=_FINALIZE_PRIORITY, weight=0, optional=True) for kind in _CLOSING]
    return [*optional, finalize_task()]


def segment_task(rendition: str, number: int) -> NewTask:
    """Return the task of one on-demand segment."""
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
    """Return all tasks that can start now, by what the record counts as done."""
    presentation = record.presentation
    if presentation is None:
        return [probe_task()]
    pending = _pending_chunks(record, presentation.grid)
    tasks = _without_done([_thumbnail_task()], record)
    optional_tasks = _without_done(_optional_tasks(record, presentation), record)
    if not presentation.audio:
        return tasks + optional_tasks + _chunk_tasks(presentation.grid, pending)
    unblocked = [index for index in pending if paths.chunk_audio_path(media_root, record.video_id, index).exists()]
    tasks += [_audio_task(presentation)] if len(unblocked) < len(pending) else optional_tasks
    return tasks + _chunk_tasks(presentation.grid, unblocked)


def follow_ups(kind: str, record: VideoRecord, media_root: Path) -> list[NewTask]:
    """Return the tasks that a finished one unblocks."""
    if kind == TaskKind.PROBE:
        return initial_tasks(record, media_root)
    presentation = record.presentation
    if kind == TaskKind.AUDIO and presentation is not None:
        chunks = _chunk_tasks(presentation.grid, _pending_chunks(record, presentation.grid))
        return _without_done(_optional_tasks(record, presentation), record) + chunks
    return []


def unblocked_chunks(record: VideoRecord, parts_before: int, parts_done: int) -> list[NewTask]:
    """Return the chunks that are unblocked when the audio task has finished `parts_done` files, `parts_before` of them
    earlier.
    """
    if record.presentation is None:
        return []
    grid = record.presentation.grid
    return _chunk_tasks(grid, (index for index in _pending_chunks(record, grid) if parts_before <= index < parts_done))


def weights(record: VideoRecord) -> tuple[float, float]:
    """Return the weight of all tasks of a video, and of those that are done."""
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
    """Return whether every chunk and the final task are done."""
    if record.presentation is None or TaskKind.FINALIZE not in record.tasks_done:
        return False
    return not _pending_chunks(record, record.presentation.grid)


def is_encoded(record: VideoRecord) -> bool:
    """Return whether every chunk is done, whatever else is missing."""
    return record.presentation is not None and not _pending_chunks(record, record.presentation.grid)


def needs_source(kinds: Iterable[str]) -> bool:
    """Return whether any of these kinds of tasks reads the source rather than finished segments only."""
    return not set(kinds) <= {*_CLOSING, TaskKind.FINALIZE}


def retry_at(omissions: Omissions, timing: Timing) -> float:
    """Return the Unix time at which failed optional tasks are retried, infinity after the last retry."""
    if omissions.tries >= timing.max_optional_retries:
        return math.inf
    delay_s = timing.optional_retry_delay_s * timing.optional_retry_growth**omissions.tries
    return omissions.tried_at + min(timing.max_optional_retry_delay_s, delay_s)


def seconds(record: VideoRecord) -> float:
    """Return the duration of a video in seconds, 0 before it was probed."""
    return record.presentation.duration if record.presentation is not None else 0.0


def chunk_of(record: VideoRecord, number: int) -> int | None:
    """Return the chunk that contains a segment, None before the video was probed."""
    return record.presentation.grid.chunk_of(number) if record.presentation is not None else None


def nearby_chunks(record: VideoRecord, number: int) -> list[str]:
    """Return the ids of the chunk that contains a segment and of the next one, without those that are done."""
    if record.presentation is None:
        return []
    grid = record.presentation.grid
    current = grid.chunk_of(number)
    nearby = (index for index in (current, current + 1) if index < grid.chunk_count)
    return [_chunk_id(index) for index in nearby if index not in record.chunks_done]


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


def _optional_task(kind: TaskKind, priority: float, weight: float) -> NewTask:
    return NewTask(kind, kind, priority=priority, weight=weight, optional=True)


def _thumbnail_task() -> NewTask:
    return _optional_task(TaskKind.THUMBNAIL, _THUMBNAIL_PRIORITY, _THUMBNAIL_WEIGHT)


def _optional_tasks(record: VideoRecord, presentation: Presentation) -> list[NewTask]:
    """Return the optional tasks that read the whole source. If one dies, the video is published without its output.

    They run after the audio: before it, they would occupy the slots that the first chunks need.
    """
    tasks = []
    audio_weight = presentation.duration * _AUDIO_WEIGHT_PER_S
    if presentation.subtitles:
        weight = presentation.duration * _SUBTITLES_WEIGHT_PER_S
        tasks.append(_optional_task(TaskKind.SUBTITLES, _SUBTITLES_PRIORITY, weight))
    if (track_count := len(presentation.audio) - 1) > 0:
        weight = audio_weight * track_count
        tasks.append(_optional_task(TaskKind.ALTERNATE_AUDIO, _ALTERNATE_AUDIO_PRIORITY, weight))
    if record.task_results.get(TaskKind.AUDIO, {}).get("unmeasured"):
        tasks.append(_optional_task(TaskKind.LOUDNESS, _ALTERNATE_AUDIO_PRIORITY, audio_weight))
    return tasks


def _without_done(tasks: list[NewTask], record: VideoRecord) -> list[NewTask]:
    return [task for task in tasks if task.kind not in record.tasks_done]
