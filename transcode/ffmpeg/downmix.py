"""Downmixing the channels of an audio track to stereo.

ffmpeg mixes what it knows: up to eight channels in a usual order, and the large layouts of 16 and 24. For all others
this module supplies the weights. For known channel positions they are those of ITU-R BS.775 and of ffmpeg itself, so
that no kind of source is louder than another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import repeat

from transcode.presentation import AudioTrack

# A channel's gains in the left and in the right output.
Gains = tuple[float, float]

_MINUS_3_DB = 0.7071  # gain of channels in the middle, at the sides and behind

# Channel positions as ffmpeg names them. Low frequency effects are left out, as is usual in stereo.
_CENTRE_CHANNELS = frozenset({"FC", "BC", "TC", "TFC", "TBC", "BFC"})
_FRONT_CHANNELS = frozenset({"FL", "FR", "FLC", "FRC", "DL", "DR"})
_LFE_CHANNELS = frozenset({"LFE", "LFE2"})

# Assumed positions by number of channels where the source does not name them: 5.1.4, 7.1.4, 9.1.4 (the order of SMPTE
# ST 2036-2, as in WAV). Nine, eleven and thirteen channels have no usual order.
_BED_CHANNELS = ("FL", "FR", "FC", "LFE", "BL", "BR")
_TOP_CHANNELS = ("TFL", "TFR", "TBL", "TBR")
_ASSUMED_LAYOUTS = {
    10: (*_BED_CHANNELS, *_TOP_CHANNELS),
    12: (*_BED_CHANNELS, "SL", "SR", *_TOP_CHANNELS),
    14: (*_BED_CHANNELS, "FLC", "FRC", "SL", "SR", *_TOP_CHANNELS),
}
_CHANNEL_COUNTS_MIXED_BY_FFMPEG = frozenset({*range(1, 9), 16, 24})

_CUSTOM_LAYOUT = re.compile(r"\d+ channels \(([A-Z0-9+]+)\)")  # how ffmpeg describes a layout without a name


def has_known_channel_order(track: AudioTrack) -> bool:
    """Return whether the position of each channel is known or can be assumed."""
    return (
        track.channels in _CHANNEL_COUNTS_MIXED_BY_FFMPEG
        or track.channels in _ASSUMED_LAYOUTS
        or bool(_gains_of_layout(track))
    )


def stereo_downmix_filter(track: AudioTrack) -> str:
    """Return the filter that mixes a track to two channels.

    Channels in an unknown order are mixed equally into both sides, so that nothing is lost where there is no other
    audio.
    """
    gains = _gains_of_layout(track)
    if not gains and (track.channels in _CHANNEL_COUNTS_MIXED_BY_FFMPEG or track.layout == "stereo"):
        return "aformat=channel_layouts=stereo"
    if not gains and track.channels in _ASSUMED_LAYOUTS:
        gains = [_gains(position) for position in _ASSUMED_LAYOUTS[track.channels]]
    return _pan_filter(gains or list(repeat((_MINUS_3_DB, _MINUS_3_DB), track.channels)))


def _gains_of_layout(track: AudioTrack) -> list[Gains]:
    """Return each channel's gains for a layout that only its description identifies, else []."""
    if track.layout.startswith("ambisonic"):
        # Two virtual microphones facing the sides, from W and Y (ambiX: ACN order, SN3D).
        silent = [(0.0, 0.0)] * (track.channels - 2)
        return [(_MINUS_3_DB, _MINUS_3_DB), (_MINUS_3_DB, -_MINUS_3_DB), *silent] if track.channels >= 4 else []
    match = _CUSTOM_LAYOUT.fullmatch(track.layout)
    positions = match[1].split("+") if match else []
    if len(positions) != track.channels:
        return []
    return [_gains(position) if len(positions) > 1 else (_MINUS_3_DB, _MINUS_3_DB) for position in positions]


def _gains(position: str) -> Gains:
    if position in _LFE_CHANNELS:
        return 0.0, 0.0
    if position in _CENTRE_CHANNELS or position[-1] not in "LRC":
        return _MINUS_3_DB, _MINUS_3_DB
    gain = 1.0 if position in _FRONT_CHANNELS else _MINUS_3_DB
    is_left = "L" in position
    return (gain, 0.0) if is_left else (0.0, gain)


def _pan_filter(gains: Sequence[Gains]) -> str:
    """Return ffmpeg's `pan` filter, which addresses channels by number, whatever their positions."""
    left, right = (
        "+".join(f"{pair[side]}*c{channel}" for channel, pair in enumerate(gains) if pair[side]) or "0*c0"
        for side in (0, 1)
    )
    return f"pan=stereo|c0={left}|c1={right}".replace("+-", "-")
