"""The probe task: inspect the source, build its presentation and publish the playlists; the video is then playable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, cast

from transcode import paths, publishing
from transcode.hls import playlists
from transcode.presentation import Presentation
from transcode.probe import damage
from transcode.probe.checks import check_video_stream, inspect_key_frames
from transcode.probe.probe import probe_source
from transcode.probe.sampling import sample_source
from transcode.probe.source import Source, build_presentation, describe_source
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.master import publish_master
from transcode.tasks.working_copy import WorkingCopy, create_working_copy, ensure_working_copy, uploaded_source


class ProbeResult(TypedDict):
    """Result of the probe task: the presentation as `Presentation.as_json` returns it."""

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
    """Probe the source and publish the playlists.

    A video that was probed before keeps its presentation, which its finished chunks depend on; only a missing working
    copy and missing playlists are created again.
    """
    if context.known_presentation is not None:
        ensure_working_copy(context, progress_sink)
        presentation = context.presentation
    else:
        presentation = _build_presentation(context, progress_sink)
    _publish(context, presentation)
    return cast(ProbeResult, presentation.as_json())


def _build_presentation(context: TaskContext, progress_sink: ProgressSink) -> Presentation:
    source = probe_source(uploaded_source(context), context.binaries)
    if source.is_seekable:
        return replace(build_presentation(source), warning=source.warning)
    copy, copied = _create_and_describe_copy(context, progress_sink, source, source.has_sparse_key_frames)
    damage.check_duration(source, copied, copy.frame_count)
    warning = damage.assess_damage(_unreadable_share(Path(context.source), source, copy))
    keyed = source.has_sparse_key_frames
    if not keyed:
        copied = sample_source(copy.path, inspect_key_frames(copy.path, copied, context.binaries), context.binaries)
        keyed = copied.has_sparse_key_frames
    if keyed and not source.has_sparse_key_frames:
        copy, copied = _create_and_describe_copy(context, progress_sink, source, True)
    if keyed:
        copied = sample_source(copy.path, copied, context.binaries)
    return replace(
        build_presentation(copied.with_labels_of(source.streams_to_copy()), remuxed=True),
        keyed=keyed,
        copied=tuple(stream["index"] for stream in source.streams_to_copy()),
        warning=" ".join(filter(None, (warning, source.warning))),
    )


def _create_and_describe_copy(
    context: TaskContext, progress_sink: ProgressSink, source: Source, add_key_frames: bool
) -> tuple[WorkingCopy, Source]:
    copy = create_working_copy(context, progress_sink, source, source.streams_to_copy(), add_key_frames=add_key_frames)
    copied = describe_source(copy.path, context.binaries)
    check_video_stream(copied)
    return copy, copied


def _unreadable_share(path: Path, source: Source, copy: WorkingCopy) -> float:
    """Return the share of a file without an index that could not be read, from 0 to 1."""
    if source.has_sparse_key_frames:
        return 0.0  # the file has an index
    if source.is_format("mov"):
        return damage.measure_trailing_garbage(path)
    if source.is_format("flv", "matroska"):
        return damage.measure_lost_share(path, copy.path) if copy.is_exact else 0.0
    return damage.measure_garbage(path)


def _publish(context: TaskContext, presentation: Presentation) -> None:
    root, video_id = context.media_root, context.video_id
    if not paths.video_dir(root, video_id).parent.exists():
        uploaded_source(context)  # raises if the volume is not mounted: nothing may be written in its place
    paths.thumbnail_path(root, video_id).parent.mkdir(parents=True, exist_ok=True)
    for name in presentation.rendition_names:
        folder = paths.rendition_dir(root, video_id, name)
        folder.mkdir(parents=True, exist_ok=True)
        text = playlists.media_playlist(presentation.grid)
        publishing.publish_text(context.scratch_dir, folder / paths.MEDIA_PLAYLIST, text)
        publishing.fsync_path(folder)
    publish_master(replace(context, known_presentation=presentation))
    publishing.fsync_path(paths.video_dir(root, video_id).parent)
