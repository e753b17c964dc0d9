"""I-frame playlists, by which players show pictures while a viewer scrubs; from finished segments."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from transcode import paths
from transcode.errors import MediaError, Stopped
from transcode.hls import playlists
from transcode.hls.mpegts import first_picture_size
from transcode.hls.playlists import IFrame
from transcode.tasks.context import ProgressSink, TaskContext


class IFramesResult(TypedDict):
    """What the task for I-frame playlists reports."""

    pictures: int  # in each playlist


def publish_iframe_playlists(assignment: TaskContext, monitor: ProgressSink) -> IFramesResult:
    """Publish one playlist per rendition; return `pictures`, the number in each. The master lists them at the end.

    Raise Lost when a segment is missing.
    """
    timeline, root, film = assignment.presentation, assignment.media_root, assignment.video_id
    for name in timeline.rendition_names:
        segments = [paths.segment_path(root, film, name, number) for number in range(timeline.segment_count)]
        target = paths.rendition_dir(root, film, name) / paths.IFRAME_PLAYLIST
        text = playlists.iframe_playlist(timeline.grid, _measured(segments, monitor))
        paths.publish_text(assignment.scratch_dir, target, text)
        paths.fsync_path(target.parent)
    return {"pictures": timeline.segment_count}


def _measured(segments: list[Path], monitor: ProgressSink) -> list[IFrame]:
    """Report each segment as a sign of life: of a film of many hours on a slow disk, all of them take minutes."""
    found = []
    for number, segment in enumerate(segments):
        if monitor.is_stop_requested():
            raise Stopped
        found.append(IFrame(number, iframe_size(segment)))
        monitor.report_parts(len(found))
    return found


def iframe_size(segment: Path) -> int:
    """Return the bytes up to the end of the first picture. Raise MediaError for a segment without one."""
    try:
        return first_picture_size(segment)
    except ValueError as error:
        raise MediaError("A segment of this film is damaged.", stderr_tail=str(error)) from error
