"""From a file to a timeline, and to the complete playlists: from here on the film can be played."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, cast

from transcode import paths
from transcode.hls import playlists
from transcode.presentation import Presentation
from transcode.probe import damage
from transcode.probe.checks import check_video_stream, inspect_key_frames
from transcode.probe.checks import probe_source as look_at
from transcode.probe.sampling import sample
from transcode.probe.source import Source, build_presentation, describe_source
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.master import publish_master
from transcode.tasks.working_copy import WorkingCopy, create_working_copy, ensure_working_copy, uploaded_source


class ProbeResult(TypedDict):
    """The presentation in the form of `Presentation.as_json`."""

    version: int
    grid: dict[str, Any]
    renditions: list[dict[str, Any]]
    video: dict[str, Any]
    audio: list[dict[str, Any]]
    subtitles: list[dict[str, Any]]
    origin: float
    file_start: float
    remuxed: bool
    keyed: bool
    copied: list[int]
    warning: str


def probe_video(context: TaskContext, progress_sink: ProgressSink) -> ProbeResult:
    """Returns the timeline as JSON: that of an earlier probe, or finished chunks would not fit.

    Of a film that was probed before, it makes again what its other tasks need and do not find.
    """
    if context.known_presentation is not None:
        ensure_working_copy(context, progress_sink)
        found = context.presentation
    else:
        found = _build_presentation(context, progress_sink)
    _publish(context, found)
    return cast(ProbeResult, found.as_json())


def _build_presentation(context: TaskContext, progress_sink: ProgressSink) -> Presentation:
    source = look_at(uploaded_source(context), context.binaries)
    if source.is_seekable:
        return replace(build_presentation(source), warning=source.warning)
    copy, copied = _create_and_describe_copy(context, progress_sink, source, source.has_sparse_key_frames)
    damage.check_duration(source, copied, copy.frame_count)
    warning = damage.assess_damage(_unreadable_share(Path(context.source), source, copy))
    keyed = source.has_sparse_key_frames
    if not keyed:
        copied = sample(copy.path, inspect_key_frames(copy.path, copied, context.binaries), context.binaries)
        keyed = copied.has_sparse_key_frames
    if keyed and not source.has_sparse_key_frames:
        copy, copied = _create_and_describe_copy(context, progress_sink, source, True)
    if keyed:
        copied = sample(copy.path, copied, context.binaries)
    return replace(
        build_presentation(copied.labelled_as(source.copied()), remuxed=True),
        keyed=keyed,
        copied=tuple(stream["index"] for stream in source.copied()),
        warning=" ".join(filter(None, (warning, source.warning))),
    )


def _create_and_describe_copy(
    context: TaskContext, progress_sink: ProgressSink, source: Source, add_key_frames: bool
) -> tuple[WorkingCopy, Source]:
    copy = create_working_copy(context, progress_sink, source, source.copied(), add_key_frames=add_key_frames)
    copied = describe_source(copy.path, context.binaries)
    check_video_stream(copied)
    return copy, copied


def _unreadable_share(path: Path, source: Source, copy: WorkingCopy) -> float:
    """The share of a file without an index that nothing could be made of."""
    if source.has_sparse_key_frames:
        return 0.0  # it has one
    if source.is_format("mov"):
        return damage.measure_trailing_garbage(path)
    if source.is_format("flv", "matroska"):
        return damage.measure_lost_share(path, copy.path) if copy.is_exact else 0.0
    return damage.measure_garbage(path)


def _publish(context: TaskContext, presentation: Presentation) -> None:
    root, film = context.media_root, context.video_id
    if not paths.video_dir(root, film).parent.exists():
        uploaded_source(context)  # else the whole volume is away, and nothing is written where it should be
    paths.thumbnail_path(root, film).parent.mkdir(parents=True, exist_ok=True)
    for name in presentation.rendition_names:
        folder = paths.rendition_dir(root, film, name)
        folder.mkdir(parents=True, exist_ok=True)
        text = playlists.media_playlist(presentation.grid)
        paths.publish_text(context.scratch_dir, folder / paths.MEDIA_PLAYLIST, text)
        paths.fsync_path(folder)
    publish_master(replace(context, known_presentation=presentation))
    paths.fsync_path(paths.video_dir(root, film).parent)
