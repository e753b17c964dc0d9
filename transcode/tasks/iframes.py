"""The task for I-frame playlists, with which players show pictures while a viewer scrubs. Reads finished segments."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from transcode import paths, publishing
from transcode.errors import MediaError, Stopped
from transcode.hls import playlists
from transcode.hls.playlists import IFrame
from transcode.probe.mpegts import first_picture_size
from transcode.tasks.context import ProgressSink, TaskContext


class IFramesResult(TypedDict):
    """Result of the task for I-frame playlists."""

    pictures: int  # in each playlist


def publish_iframe_playlists(context: TaskContext, progress_sink: ProgressSink) -> IFramesResult:
    """Publish an I-frame playlist for each rendition; the last task lists them in the master playlist.

    Raise FileNotFoundError if a segment is missing.
    """
    presentation, root, video_id = context.presentation, context.media_root, context.video_id
    for name in presentation.rendition_names:
        numbers = range(presentation.segment_count)
        segments = [paths.segment_path(root, video_id, name, number) for number in numbers]
        destination = paths.rendition_dir(root, video_id, name) / paths.IFRAME_PLAYLIST
        text = playlists.iframe_playlist(presentation.grid, _measure_iframes(segments, progress_sink))
        publishing.publish_text(context.scratch_dir, destination, text)
        publishing.fsync_path(destination.parent)
    return {"pictures": presentation.segment_count}


def _measure_iframes(segments: list[Path], progress_sink: ProgressSink) -> list[IFrame]:
    """Measure the first picture of each segment.

    Every segment counts as progress, because many hours of video on a slow disk take minutes.
    """
    iframes: list[IFrame] = []
    for number, segment in enumerate(segments):
        if progress_sink.is_stop_requested():
            raise Stopped
        iframes.append(IFrame(number, iframe_size(segment)))
        progress_sink.report_parts(len(iframes))
    return iframes


def iframe_size(segment: Path) -> int:
    """Return the bytes up to the end of a segment's first picture. Raise MediaError if it has none."""
    try:
        return first_picture_size(segment)
    except ValueError as error:
        raise MediaError("A segment of this video is damaged.", stderr_tail=str(error)) from error
