"""When every segment is there: measure, and publish the final master playlist."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from transcode import paths
from transcode.errors import InputMissing
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.master import publish_master


class FinalizeResult(TypedDict):
    """What the last task reports."""

    bytes: dict[str, int]  # of all segments, by rendition
    bandwidths: dict[str, int]  # measured peak in bits per second, by rendition
    audio: list[int]  # numbers of the published alternate audio tracks
    subtitles: list[int]  # numbers of the published subtitles


def finalize(context: TaskContext, progress_sink: ProgressSink) -> FinalizeResult:
    """Returns `bytes` and measured bandwidths in bits per second, by rendition, and what lies beside them."""
    timeline, root, film = context.presentation, context.media_root, context.video_id
    sizes = {}
    for name in timeline.rendition_names:
        segments = [paths.segment_path(root, film, name, number) for number in range(timeline.segment_count)]
        sizes[name] = _total_size(segments, progress_sink)
    master = publish_master(context, is_complete=True)
    return {
        "bytes": sizes,
        "bandwidths": {name: found.stream.peak for name, found in master.renditions.items()},
        "audio": list(master.alternate_media.audio),
        "subtitles": list(master.alternate_media.subtitles),
    }


def _total_size(segments: list[Path], monitor: ProgressSink) -> int:
    """Each one looked at is a sign of life, for a disk may be slow."""
    size = 0
    try:
        for count, segment in enumerate(segments, 1):
            size += segment.stat().st_size
            monitor.report_parts(count)
    except FileNotFoundError as error:
        raise InputMissing("A segment of this film is missing.", stderr_tail=str(error)) from error
    return size
