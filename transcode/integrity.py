"""Finds files that a video's record counts as done but that are missing on disk, so that they are made again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from transcode import paths
from transcode.hls.published import is_track_complete
from transcode.hls.storyboard import Storyboard, sheet_name
from transcode.presentation import Presentation
from transcode.repository import VideoRecord
from transcode.task_kinds import TaskKind


@dataclass(frozen=True, slots=True)
class MissingFiles:
    """Chunks and kinds of tasks with missing files."""

    chunks: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.chunks or self.kinds)


def find_missing(record: VideoRecord, media_root: Path) -> MissingFiles:
    """Check every file of what is done. Lists folders, and reads the playlists of audio tracks and subtitles."""
    if record.presentation is None:
        return MissingFiles()
    presentation, folder = record.presentation, paths.video_dir(media_root, record.video_id)
    names_by_rendition = [_list_names(folder / name) for name in presentation.rendition_names]

    def is_whole(chunk: int) -> bool:
        expected = {paths.segment_name(number) for number in presentation.grid.chunk_segments(chunk)}
        return all(expected <= names for names in names_by_rendition)

    checks: dict[str, Callable[[], bool]] = {
        TaskKind.THUMBNAIL: paths.thumbnail_path(media_root, record.video_id).exists,
        TaskKind.ALTERNATE_AUDIO: lambda: all(
            is_track_complete(folder / paths.audio_folder_name(n)) for n in _audio_numbers(record, presentation)
        ),
        TaskKind.SUBTITLES: lambda: all(
            is_track_complete(folder / paths.subtitle_folder_name(n)) for n in _subtitle_numbers(record)
        ),
        TaskKind.IFRAMES: lambda: _have(folder, presentation, paths.IFRAME_PLAYLIST),
        TaskKind.STORYBOARD: lambda: _has_storyboard(folder, presentation),
        TaskKind.FINALIZE: lambda: (
            (folder / paths.MASTER_PLAYLIST).exists() and _have(folder, presentation, paths.MEDIA_PLAYLIST)
        ),
    }
    return MissingFiles(
        frozenset(chunk for chunk in record.chunks_done if not is_whole(chunk)),
        frozenset(kind for kind, is_there in checks.items() if kind in record.tasks_done and not is_there()),
    )


def without_missing(record: VideoRecord, media_root: Path) -> VideoRecord:
    """Return the record without what is missing on disk."""
    missing = find_missing(record, media_root)
    return replace(
        record, chunks_done=record.chunks_done - missing.chunks, tasks_done=record.tasks_done - missing.kinds
    )


def _audio_numbers(record: VideoRecord, presentation: Presentation) -> list[int]:
    """Return the numbers of the alternate audio tracks that were made: all, in results of versions that list none."""
    return list(record.task_results.get(TaskKind.ALTERNATE_AUDIO, {}).get("tracks", range(1, len(presentation.audio))))


def _subtitle_numbers(record: VideoRecord) -> list[int]:
    """Return the numbers of the subtitles that are not empty."""
    return list(record.task_results.get(TaskKind.SUBTITLES, {}).get("tracks", ()))


def _has_storyboard(folder: Path, presentation: Presentation) -> bool:
    """Return whether all sheets of the storyboard and its index exist."""
    storyboard = Storyboard(presentation.grid, presentation.renditions[0])
    sheets = {sheet_name(number) for number in range(storyboard.sheet_count)}
    return {paths.STORYBOARD_INDEX, *sheets} <= _list_names(folder / paths.STORYBOARD_DIR)


def _have(folder: Path, presentation: Presentation, playlist: str) -> bool:
    """Return whether every rendition has this playlist."""
    return all((folder / name / playlist).exists() for name in presentation.rendition_names)


def _list_names(folder: Path) -> set[str]:
    """Return the names in a folder, none if it does not exist."""
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return set()
