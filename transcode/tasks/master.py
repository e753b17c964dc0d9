"""The master playlist, for what is there: renditions, and what is published beside them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from transcode import layout
from transcode.hls import bandwidth, playlists
from transcode.hls.bandwidth import Rates
from transcode.hls.playlists import Beside, Listed
from transcode.losses import is_complete
from transcode.tasks.assignment import Assignment
from transcode.timeline import Timeline

_EARLY_CHUNKS = 16  # after each of them everything is measured: two minutes more or less are a large part of so few


@dataclass(frozen=True, slots=True)
class Master:
    """What a master playlist says: of every rendition by its name, and of what lies beside them."""

    renditions: Mapping[str, Listed]
    beside: Beside


def publish_master(assignment: Assignment, *, is_complete: bool = False) -> Master:
    """Write the master playlist unless it says already what is there; returns what it says.

    Until the film is complete for the first time, bandwidths are estimates from what there is, and from then on, also
    after a restart, they are measured. Others may write it at the same time, from what they saw: so it is looked at
    again afterwards.
    """
    place = layout.film_dir(assignment.root, assignment.film) / layout.MASTER
    while True:
        master = _found(assignment.known, place.parent, is_complete)
        text = playlists.master_playlist(assignment.known, master.renditions, master.beside)
        if _text_of(place) == text:
            layout.to_disk(place.parent)
            return master
        layout.publish_text(assignment.scratch, place, text)


def publish_master_after_chunk(assignment: Assignment, sizes: Mapping[str, Mapping[int, int]]) -> None:
    """Bring the master playlist up to date with a new chunk's segments: `sizes`, by rendition and number.

    To look at all segments after every chunk would take a film of many hours more and more time. Once there are a few,
    bandwidths hardly change, so later chunks do so only where the playlist says too little for the chunk itself, when
    their number is a power of two, and when the film was complete before, for then its bandwidths are exact.
    """
    timeline, place = assignment.known, layout.film_dir(assignment.root, assignment.film) / layout.MASTER
    is_early = assignment.index < _EARLY_CHUNKS or assignment.index.bit_count() == 1
    was_complete = any((place.parent / name / layout.IFRAME_PLAYLIST).exists() for name in timeline.rendition_names)
    if is_early or was_complete or not _covers(_text_of(place), timeline, sizes):
        publish_master(assignment)


def _covers(master: str, timeline: Timeline, sizes: Mapping[str, Mapping[int, int]]) -> bool:
    """Return whether a master playlist lists at least the peak rates of these segments.

    What it lists includes the largest of the sound tracks beside the renditions, where there are any.
    """
    peaks, beside = playlists.listed_peaks(master), bandwidth.SOUND_TRACK_PEAK if "TYPE=AUDIO" in master else 0
    measured = {name: bandwidth.of_segments(found, timeline.grid).peak for name, found in sizes.items()}
    return all(peak + beside <= peaks.get(name, 0) for name, peak in measured.items())


def _found(timeline: Timeline, folder: Path, is_complete: bool) -> Master:
    return Master(_renditions(timeline, folder, is_complete), _beside(timeline, folder))


def _renditions(timeline: Timeline, folder: Path, is_complete: bool) -> dict[str, Listed]:
    grid, found = timeline.grid, dict[str, Listed]()
    iframes = {name: _text_of(folder / name / layout.IFRAME_PLAYLIST) for name in timeline.rendition_names}
    is_measured = is_complete or all(iframes.values())
    for rendition in timeline.renditions:
        sizes = _sizes(folder / rendition.name, timeline.segments)
        if is_measured and sizes:
            pictures = playlists.listed_iframes(iframes[rendition.name])
            rates = bandwidth.of_segments(pictures, grid) if pictures else None
            found[rendition.name] = Listed(bandwidth.of_segments(sizes, grid), rates)
        else:
            cap = bandwidth.capped(rendition, bool(timeline.audio))
            found[rendition.name] = Listed(bandwidth.expected(sizes, grid, cap))
    return found


def _beside(timeline: Timeline, folder: Path) -> Beside:
    audio = tuple(n for n in range(1, len(timeline.audio)) if is_complete(folder / layout.audio_track(n)))
    spoken = range(1, len(timeline.subtitles) + 1)
    subtitles = tuple(n for n in spoken if is_complete(folder / layout.subtitle_track(n)))
    rates = [_rates(folder / layout.audio_track(n), timeline.grid.target) for n in audio]
    peak, average = (max((getattr(one, name) for one in rates), default=0) for name in ("peak", "average"))
    return Beside(audio, subtitles, Rates(peak, average))


def _rates(folder: Path, target: int) -> Rates:
    pieces = playlists.listed((folder / layout.MEDIA_PLAYLIST).read_text())
    return bandwidth.rates([(folder / name).stat().st_size for name in pieces], list(pieces.values()), target)


def _sizes(folder: Path, segments: int) -> dict[int, int]:
    """Bytes of the segments that are there, by their numbers."""
    numbers = {layout.segment_name(number): number for number in range(segments)}
    with os.scandir(folder) as entries:
        return {numbers[entry.name]: entry.stat().st_size for entry in entries if entry.name in numbers}


def _text_of(place: Path) -> str:
    """Empty for what is not there."""
    try:
        return place.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
