"""What the catalogue holds of a film and the disk does not any more: it is made again, like what never was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from transcode import paths
from transcode.hls import playlists
from transcode.hls.storyboard import Storyboard, sheet_name
from transcode.presentation import Presentation
from transcode.repository import VideoRecord
from transcode.task_kinds import TaskKind


@dataclass(frozen=True, slots=True)
class MissingFiles:
    """Chunks and kinds of tasks whose files are not all there."""

    chunks: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.chunks or self.kinds)


def find_missing(record: VideoRecord, media_root: Path) -> MissingFiles:
    """Look for every file of what is done; reads folders, and playlists of what lies beside the renditions."""
    if record.presentation is None:
        return MissingFiles()
    presentation, folder = record.presentation, paths.video_dir(media_root, record.video_id)
    there = [_list_names(folder / name) for name in presentation.rendition_names]

    def is_whole(chunk: int) -> bool:
        wanted = {paths.segment_name(number) for number in presentation.grid.chunk_segments(chunk)}
        return all(wanted <= names for names in there)

    checks: dict[str, Callable[[], bool]] = {
        TaskKind.THUMBNAIL: paths.thumbnail_path(media_root, record.video_id).exists,
        TaskKind.ALTERNATE_AUDIO: lambda: all(
            is_complete(folder / paths.audio_folder_name(n)) for n in _heard(record, presentation)
        ),
        TaskKind.SUBTITLES: lambda: all(
            is_complete(folder / paths.subtitle_folder_name(n)) for n in _subtitle_numbers(record)
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
    """The same without what was lost."""
    lost = find_missing(record, media_root)
    return replace(record, chunks_done=record.chunks_done - lost.chunks, tasks_done=record.tasks_done - lost.kinds)


def is_complete(folder: Path) -> bool:
    """Whether all is there that the playlist of a sound track or of subtitles lists."""
    try:
        listed = playlists.parse_segments((folder / paths.MEDIA_PLAYLIST).read_text())
    except FileNotFoundError:
        return False
    return listed.keys() <= _list_names(folder)


def _heard(entry: VideoRecord, timeline: Presentation) -> list[int]:
    """Return the numbers of the sound tracks that could be made; versions that did not say so made all or none."""
    return list(entry.task_results.get(TaskKind.ALTERNATE_AUDIO, {}).get("tracks", range(1, len(timeline.audio))))


def _subtitle_numbers(record: VideoRecord) -> list[int]:
    """The numbers of the subtitles that hold any words."""
    return list(record.task_results.get(TaskKind.SUBTITLES, {}).get("tracks", ()))


def _has_storyboard(folder: Path, timeline: Presentation) -> bool:
    """Return whether all sheets are there, and their index."""
    sheets = {sheet_name(number) for number in range(Storyboard(timeline.grid, timeline.renditions[0]).sheet_count)}
    return {paths.STORYBOARD_INDEX, *sheets} <= _list_names(folder / paths.STORYBOARD_DIR)


def _have(folder: Path, timeline: Presentation, playlist: str) -> bool:
    """Return whether every rendition has this playlist."""
    return all((folder / name / playlist).exists() for name in timeline.rendition_names)


def _list_names(folder: Path) -> set[str]:
    """Of what is in a folder; the folder may be gone."""
    try:
        return {place.name for place in folder.iterdir()}
    except FileNotFoundError:
        return set()
