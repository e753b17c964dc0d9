"""The master playlist, for what is there: renditions, and what is published beside them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from transcode import paths
from transcode.hls import bandwidth, playlists
from transcode.hls.bandwidth import Rates
from transcode.hls.playlists import AlternateMedia, VariantRates
from transcode.integrity import is_complete
from transcode.presentation import Presentation
from transcode.tasks.context import TaskContext

_EARLY_CHUNKS = 16  # after each of them everything is measured: two minutes more or less are a large part of so few


@dataclass(frozen=True, slots=True)
class MasterPlaylist:
    """What a master playlist says: of every rendition by its name, and of what lies beside them."""

    renditions: Mapping[str, VariantRates]
    alternate_media: AlternateMedia


def publish_master(context: TaskContext, *, is_complete: bool = False) -> MasterPlaylist:
    """Write the master playlist unless it says already what is there; returns what it says.

    Until the film is complete for the first time, bandwidths are estimates from what there is, and from then on, also
    after a restart, they are measured. Others may write it at the same time, from what they saw: so it is looked at
    again afterwards.
    """
    place = paths.video_dir(context.media_root, context.video_id) / paths.MASTER_PLAYLIST
    while True:
        master = _scan_published(context.presentation, place.parent, is_complete)
        text = playlists.master_playlist(context.presentation, master.renditions, master.alternate_media)
        if _read_text(place) == text:
            paths.fsync_path(place.parent)
            return master
        paths.publish_text(context.scratch_dir, place, text)


def publish_master_after_chunk(assignment: TaskContext, sizes: Mapping[str, Mapping[int, int]]) -> None:
    """Bring the master playlist up to date with a new chunk's segments: `sizes`, by rendition and number.

    To look at all segments after every chunk would take a film of many hours more and more time. Once there are a few,
    bandwidths hardly change, so later chunks do so only where the playlist says too little for the chunk itself, when
    their number is a power of two, and when the film was complete before, for then its bandwidths are exact.
    """
    timeline, place = (
        assignment.presentation,
        paths.video_dir(assignment.media_root, assignment.video_id) / paths.MASTER_PLAYLIST,
    )
    is_early = assignment.index < _EARLY_CHUNKS or assignment.index.bit_count() == 1
    was_complete = any((place.parent / name / paths.IFRAME_PLAYLIST).exists() for name in timeline.rendition_names)
    if is_early or was_complete or not _covers(_read_text(place), timeline, sizes):
        publish_master(assignment)


def _covers(master: str, timeline: Presentation, sizes: Mapping[str, Mapping[int, int]]) -> bool:
    """Return whether a master playlist lists at least the peak rates of these segments.

    What it lists includes the largest of the sound tracks beside the renditions, where there are any.
    """
    peaks, beside = (
        playlists.parse_bandwidths(master),
        bandwidth.ALTERNATE_AUDIO_PEAK_BPS if "TYPE=AUDIO" in master else 0,
    )
    measured = {name: bandwidth.measure_segments(found, timeline.grid).peak for name, found in sizes.items()}
    return all(peak + beside <= peaks.get(name, 0) for name, peak in measured.items())


def _scan_published(presentation: Presentation, folder: Path, is_complete: bool) -> MasterPlaylist:
    return MasterPlaylist(
        _scan_renditions(presentation, folder, is_complete), _scan_alternate_media(presentation, folder)
    )


def _scan_renditions(presentation: Presentation, folder: Path, is_complete: bool) -> dict[str, VariantRates]:
    grid, found = presentation.grid, dict[str, VariantRates]()
    iframes = {name: _read_text(folder / name / paths.IFRAME_PLAYLIST) for name in presentation.rendition_names}
    is_measured = is_complete or all(iframes.values())
    for rendition in presentation.renditions:
        sizes = _segment_sizes(folder / rendition.name, presentation.segment_count)
        if is_measured and sizes:
            pictures = playlists.parse_iframes(iframes[rendition.name])
            rates = bandwidth.measure_segments(pictures, grid) if pictures else None
            found[rendition.name] = VariantRates(bandwidth.measure_segments(sizes, grid), rates)
        else:
            cap = bandwidth.worst_case_rates(rendition, bool(presentation.audio))
            found[rendition.name] = VariantRates(bandwidth.estimate_rates(sizes, grid, cap))
    return found


def _scan_alternate_media(presentation: Presentation, folder: Path) -> AlternateMedia:
    audio = tuple(n for n in range(1, len(presentation.audio)) if is_complete(folder / paths.audio_folder_name(n)))
    spoken = range(1, len(presentation.subtitles) + 1)
    subtitles = tuple(n for n in spoken if is_complete(folder / paths.subtitle_folder_name(n)))
    rates = [_track_rates(folder / paths.audio_folder_name(n), presentation.grid.target_duration) for n in audio]
    peak, average = (max((getattr(one, name) for one in rates), default=0) for name in ("peak", "average"))
    return AlternateMedia(audio, subtitles, Rates(peak, average))


def _track_rates(folder: Path, target_duration: int) -> Rates:
    pieces = playlists.parse_segments((folder / paths.MEDIA_PLAYLIST).read_text())
    return bandwidth.measure_rates(
        [(folder / name).stat().st_size for name in pieces], list(pieces.values()), target_duration
    )


def _segment_sizes(folder: Path, segment_count: int) -> dict[int, int]:
    """Bytes of the segments that are there, by their numbers."""
    numbers = {paths.segment_name(number): number for number in range(segment_count)}
    with os.scandir(folder) as entries:
        return {numbers[entry.name]: entry.stat().st_size for entry in entries if entry.name in numbers}


def _read_text(path: Path) -> str:
    """Empty for what is not there."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
