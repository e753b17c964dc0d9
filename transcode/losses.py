"""What the catalogue holds of a film and the disk does not any more: it is made again, like what never was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from transcode import layout
from transcode.book import FilmEntry
from transcode.hls import playlists
from transcode.hls.storyboard import Storyboard, sheet_name
from transcode.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Losses:
    """Chunks and kinds of tasks whose files are not all there."""

    chunks: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.chunks or self.kinds)


def losses(entry: FilmEntry, root: Path) -> Losses:
    """Look for every file of what is done; reads folders, and playlists of what lies beside the renditions."""
    if entry.timeline is None:
        return Losses()
    timeline, folder = Timeline.from_json(entry.timeline), layout.film_dir(root, entry.film)
    there = [_names(folder / name) for name in timeline.rendition_names]

    def is_whole(chunk: int) -> bool:
        wanted = {layout.segment_name(number) for number in timeline.grid.chunk(chunk)}
        return all(wanted <= names for names in there)

    checks: dict[str, Callable[[], bool]] = {
        "thumbnail": layout.thumbnail_path(root, entry.film).exists,
        "tracks": lambda: all(is_complete(folder / layout.audio_track(n)) for n in _heard(entry, timeline)),
        "subtitles": lambda: all(is_complete(folder / layout.subtitle_track(n)) for n in _spoken(entry)),
        "iframes": lambda: _have(folder, timeline, layout.IFRAME_PLAYLIST),
        "storyboard": lambda: _has_storyboard(folder, timeline),
        "finish": lambda: (folder / layout.MASTER).exists() and _have(folder, timeline, layout.MEDIA_PLAYLIST),
    }
    return Losses(
        frozenset(chunk for chunk in entry.chunks_done if not is_whole(chunk)),
        frozenset(kind for kind, is_there in checks.items() if kind in entry.done_kinds and not is_there()),
    )


def as_found(entry: FilmEntry, root: Path) -> FilmEntry:
    """The same without what was lost."""
    lost = losses(entry, root)
    return replace(entry, chunks_done=entry.chunks_done - lost.chunks, done_kinds=entry.done_kinds - lost.kinds)


def is_complete(track: Path) -> bool:
    """Whether all is there that the playlist of a sound track or of subtitles lists."""
    try:
        listed = playlists.listed((track / layout.MEDIA_PLAYLIST).read_text())
    except FileNotFoundError:
        return False
    return listed.keys() <= _names(track)


def _heard(entry: FilmEntry, timeline: Timeline) -> list[int]:
    """Return the numbers of the sound tracks that could be made; versions that did not say so made all or none."""
    return list(entry.results.get("tracks", {}).get("tracks", range(1, len(timeline.audio))))


def _spoken(entry: FilmEntry) -> list[int]:
    """The numbers of the subtitles that hold any words."""
    return list(entry.results.get("subtitles", {}).get("tracks", ()))


def _has_storyboard(folder: Path, timeline: Timeline) -> bool:
    """Return whether all sheets are there, and their index."""
    sheets = {sheet_name(number) for number in range(Storyboard(timeline.grid, timeline.renditions[0]).sheets)}
    return {layout.STORYBOARD_INDEX, *sheets} <= _names(folder / layout.STORYBOARD)


def _have(folder: Path, timeline: Timeline, playlist: str) -> bool:
    """Return whether every rendition has this playlist."""
    return all((folder / name / playlist).exists() for name in timeline.rendition_names)


def _names(folder: Path) -> set[str]:
    """Of what is in a folder; the folder may be gone."""
    try:
        return {place.name for place in folder.iterdir()}
    except FileNotFoundError:
        return set()
