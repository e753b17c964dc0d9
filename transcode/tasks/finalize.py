"""The last task: when all segments exist, measure them and publish the final master playlist."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from transcode import paths
from transcode.errors import InputMissing
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.master import publish_master


class FinalizeResult(TypedDict):
    """Result of the last task."""

    bytes: dict[str, int]  # of all segments, by rendition
    bandwidths: dict[str, int]  # measured peak in bits per second, by rendition
    audio: list[int]  # numbers of the published alternate audio tracks
    subtitles: list[int]  # numbers of the published subtitles


def finalize(context: TaskContext, progress_sink: ProgressSink) -> FinalizeResult:
    """Publish the master playlist with measured bandwidths. Raise InputMissing if a segment is missing."""
    presentation, root, video_id = context.presentation, context.media_root, context.video_id
    sizes = {}
    for name in presentation.rendition_names:
        numbers = range(presentation.segment_count)
        segments = [paths.segment_path(root, video_id, name, number) for number in numbers]
        sizes[name] = _total_size(segments, progress_sink)
    master = publish_master(context, is_complete=True)
    return {
        "bytes": sizes,
        "bandwidths": {name: rates.stream.peak for name, rates in master.renditions.items()},
        "audio": list(master.alternate_media.audio),
        "subtitles": list(master.alternate_media.subtitles),
    }


def _total_size(segments: list[Path], progress_sink: ProgressSink) -> int:
    """Return the total size in bytes. Every segment counts as progress, because a disk may be slow."""
    size = 0
    try:
        for count, segment in enumerate(segments, 1):
            size += segment.stat().st_size
            progress_sink.report_parts(count)
    except FileNotFoundError as error:
        raise InputMissing("A segment of this video is missing.", stderr_tail=str(error)) from error
    return size
