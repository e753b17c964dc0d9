"""The other sound tracks of a film, published as a group that players choose from."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from transcode import layout
from transcode.errors import Failed, MediaError
from transcode.hls import playlists
from transcode.plans import sound
from transcode.plans.tracks import TracksPlan
from transcode.tasks import ffmpeg
from transcode.tasks.assignment import Assignment, Monitor
from transcode.tasks.master import publish_master
from transcode.tasks.origin import working_source
from transcode.tasks.steady import Changed, require_one_form, steady

_FRAME = Fraction(sound.FRAME, sound.RATE)


def tracks(assignment: Assignment, monitor: Monitor) -> dict[str, Any]:
    """Returns `tracks`, the numbers of those that could be made. Raises MediaError when there is none."""
    numbers = list(range(1, len(assignment.known.audio)))
    for number in numbers:
        (assignment.scratch / layout.audio_track(number)).mkdir()
    plan = TracksPlan(assignment.known, working_source(assignment), numbers)
    try:
        _encode(assignment, monitor, plan)
    except Failed:
        if len(numbers) == 1:
            raise
        numbers = _encode_one_by_one(assignment, monitor, plan)
    for number in numbers:
        _publish(assignment, monitor, layout.audio_track(number))
    publish_master(assignment)
    return {"tracks": numbers}


def _encode_one_by_one(assignment: Assignment, monitor: Monitor, plan: TracksPlan) -> list[int]:
    """Return the numbers of the tracks that can be encoded, when one of them keeps all others from it."""
    made, failure = [], Failed()
    for number in plan.numbers:
        try:
            _encode(assignment, monitor, replace(plan, numbers=[number]))
            made.append(number)
        except Failed as error:
            failure = error
    if not made:
        raise failure
    return made


def _encode(assignment: Assignment, monitor: Monitor, plan: TracksPlan) -> None:
    try:
        _run(assignment, monitor, plan)
    except Changed:
        source, timeline = steady(assignment, monitor)
        _run(assignment, monitor, replace(plan, timeline=timeline, source=source))


def _run(assignment: Assignment, monitor: Monitor, plan: TracksPlan) -> None:
    """Raises Changed."""
    progress = ffmpeg.of_reading(plan.timeline.duration, monitor)
    limits = ffmpeg.whole_film(plan.timeline.duration * (len(plan.timeline.audio) - 1))
    done = ffmpeg.run(assignment, monitor, plan.argv(), limits, progress, require_one_form)
    require_one_form(done.last_words)


def _publish(assignment: Assignment, monitor: Monitor, track: str) -> None:
    """The pieces, then the playlist: what is listed is there. Raises MediaError when sound is missing.

    Each piece is a sign of life: to have thousands of them on a slow disk takes minutes.
    """
    made, grid = assignment.scratch / track, assignment.known.grid
    pieces = playlists.listed((made / layout.MEDIA_PLAYLIST).read_text())
    if abs(sum(pieces.values()) - grid.duration) > 3 * _FRAME:
        described = f"{float(sum(pieces.values())):.3f} of {float(grid.duration):.3f} seconds"
        raise MediaError("A sound track is not as long as the film.", last_words=described)
    place = layout.track_dir(assignment.root, assignment.film, track)
    place.mkdir(exist_ok=True)
    for count, name in enumerate(pieces, 1):
        layout.publish(made / name, place / name)
        monitor.parts(count)
    text = playlists.track_playlist(list(pieces.values()), grid.target, layout.segment_name)
    layout.publish_text(assignment.scratch, place / layout.MEDIA_PLAYLIST, text)
    layout.to_disk(place)
