"""What is published beside the renditions so far, and the master playlist that lists it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from transcode import layout, playlists
from transcode.assignment import Assignment
from transcode.losses import is_complete
from transcode.playlists import Beside, Measured, Rates
from transcode.timeline import Timeline


def publish_master(assignment: Assignment, measured: Mapping[str, Measured] | None = None) -> Beside:
    """Write the master playlist for what is there; returns what that is beside the renditions."""
    timeline, folder = assignment.known, layout.film_dir(assignment.root, assignment.film)
    beside = _published(timeline, assignment.root, assignment.film)
    text = playlists.master_playlist(timeline, measured, beside)
    layout.publish_text(assignment.scratch, folder / layout.MASTER, text)
    layout.to_disk(folder)
    return beside


def _published(timeline: Timeline, root: Path, film: int) -> Beside:
    def complete(track: str) -> bool:
        return is_complete(layout.track_dir(root, film, track))

    audio = tuple(n for n in range(1, len(timeline.audio)) if complete(layout.audio_track(n)))
    subtitles = tuple(n for n in range(1, len(timeline.subtitles) + 1) if complete(layout.subtitle_track(n)))
    rates = [_rates(layout.track_dir(root, film, layout.audio_track(n)), timeline.grid.target) for n in audio]
    peak, average = (max((getattr(one, name) for one in rates), default=0) for name in ("peak", "average"))
    return Beside(audio, subtitles, Rates(peak, average))


def _rates(folder: Path, target: int) -> Rates:
    pieces = playlists.listed((folder / layout.MEDIA_PLAYLIST).read_text())
    return playlists.rates([(folder / name).stat().st_size for name in pieces], list(pieces.values()), target)
