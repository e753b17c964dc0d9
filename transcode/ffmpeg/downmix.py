"""How the channels of a sound track become two.

ffmpeg mixes what it knows: up to eight channels in a usual order, and the large layouts of 16 and 24. For all others
the weights are given here; those of known places are ITU-R BS.775's and ffmpeg's own, so that no kind of source is
louder than another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import repeat

from transcode.presentation import AudioTrack

_SIDE = 0.7071  # -3 dB, of what is heard from the middle, from beside or from behind

# Places as ffmpeg calls them, by how much the left and the right side hear of them; low frequency effects are left
# out, as everywhere in stereo.
_MIDDLE = frozenset({"FC", "BC", "TC", "TFC", "TBC", "BFC"})
_FRONT = frozenset({"FL", "FR", "FLC", "FRC", "DL", "DR"})
_EFFECTS = frozenset({"LFE", "LFE2"})

# Orders of channels that say nothing of themselves, by their number: 5.1.4, 7.1.4, 9.1.4 (SMPTE ST 2036-2's order of
# the places, as WAV has them). Nine, eleven and thirteen channels have no usual order.
_BED = ("FL", "FR", "FC", "LFE", "BL", "BR")
_TOP = ("TFL", "TFR", "TBL", "TBR")
_USUAL = {
    10: (*_BED, *_TOP),
    12: (*_BED, "SL", "SR", *_TOP),
    14: (*_BED, "FLC", "FRC", "SL", "SR", *_TOP),
}
_MIXED_BY_FFMPEG = frozenset({*range(1, 9), 16, 24})

_LISTED = re.compile(r"\d+ channels \(([A-Z0-9+]+)\)")  # ffmpeg's words for an order without a name


def has_known_channel_order(track: AudioTrack) -> bool:
    """Tell whether it is known, or can be guessed, where each channel belongs."""
    return track.channels in _MIXED_BY_FFMPEG or track.channels in _USUAL or bool(_weights_of_layout(track))


def stereo_downmix_filter(track: AudioTrack) -> str:
    """Return the filter that mixes a track to two channels.

    Channels in an unknown order are heard equally on both sides: whoever has only such sound hears all of it.
    """
    weights = _weights_of_layout(track)
    if not weights and (track.channels in _MIXED_BY_FFMPEG or track.layout == "stereo"):
        return "aformat=channel_layouts=stereo"
    if not weights and track.channels in _USUAL:
        weights = [_weights(place) for place in _USUAL[track.channels]]
    return _pan(weights or list(repeat((_SIDE, _SIDE), track.channels)))


def _weights_of_layout(track: AudioTrack) -> list[tuple[float, float]]:
    """Return what left and right hear of each channel, of a layout that only its description tells; else []."""
    if track.layout.startswith("ambisonic"):
        # Two microphones to the sides, of W and Y (ambiX: ACN order, SN3D).
        rest = [(0.0, 0.0)] * (track.channels - 2)
        return [(_SIDE, _SIDE), (_SIDE, -_SIDE), *rest] if track.channels >= 4 else []
    listed = _LISTED.fullmatch(track.layout)
    places = listed[1].split("+") if listed else []
    if len(places) != track.channels:
        return []
    return [_weights(place) if len(places) > 1 else (_SIDE, _SIDE) for place in places]


def _weights(place: str) -> tuple[float, float]:
    if place in _EFFECTS:
        return 0.0, 0.0
    if place in _MIDDLE or place[-1] not in "LRC":
        return _SIDE, _SIDE
    weight = 1.0 if place in _FRONT else _SIDE
    is_left = "L" in place
    return (weight, 0.0) if is_left else (0.0, weight)


def _pan(weights: Sequence[tuple[float, float]]) -> str:
    """Return ffmpeg's filter of this name; it takes channels by number, whatever they are."""
    left, right = (
        "+".join(f"{pair[side]}*c{channel}" for channel, pair in enumerate(weights) if pair[side]) or "0*c0"
        for side in (0, 1)
    )
    return f"pan=stereo|c0={left}|c1={right}".replace("+-", "-")
