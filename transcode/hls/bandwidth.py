"""How many bits a second a rendition takes: measured in what there is, estimated for what is still to come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from transcode.ffmpeg import audio_filters
from transcode.grid import Grid
from transcode.ladder import Rendition

# What the packets of a transport stream add, roughly, while nothing has been measured.
_MUXING_OVERHEAD_FACTOR = Fraction(105, 100)
_ROUNDING_TOLERANCE_S = 1e-6  # seconds, far below a frame

# Segments at the caps that an estimate counts as seen: a film that begins with a black picture says little of the rest.
_ASSUMED_PEAK_SEGMENTS = 4
_ESTIMATE_STEP_FACTOR = 1.25  # from one estimate to the next larger one


@dataclass(frozen=True, slots=True)
class Rates:
    """Bits per second: of the worst stretch about one target duration long, and of the whole (RFC 8216, 4.3.4.2)."""

    peak: int
    average: int


ZERO_RATES = Rates(0, 0)
ALTERNATE_AUDIO_PEAK_BPS = audio_filters.BITRATE_BPS * 5 // 4  # of a sound track in segments of its own, at most


def measure_rates(sizes: Sequence[int], durations: Sequence[Fraction], target_duration: int) -> Rates:
    """Of segments of these many bytes and seconds: linear in their number, whatever their lengths.

    The peak is that of any run of segments of half a target duration to one and a half (RFC 8216, 4.3.4.2).
    """
    seconds = [float(length) for length in durations]
    average = sum(sizes) * 8 / math.fsum(seconds)
    peak = average
    for first in range(len(sizes)):
        size, length = 0, 0.0
        for place in range(first, len(sizes)):
            size, length = size + sizes[place], length + seconds[place]
            if length > 1.5 * target_duration + _ROUNDING_TOLERANCE_S:
                break
            if length >= 0.5 * target_duration - _ROUNDING_TOLERANCE_S:
                peak = max(peak, size * 8 / length)
    return Rates(math.ceil(peak), math.ceil(average))


def measure_segments(sizes: Mapping[int, int], grid: Grid) -> Rates:
    """Of these segments by their numbers, in bytes: one at least, not necessarily all."""
    numbers = sorted(sizes)
    usual, last = (
        grid.segment_duration(0),
        grid.segment_count - 1,
    )  # each of thousands would be an exact fraction of its own
    lengths = [grid.segment_duration(last) if number == last else usual for number in numbers]
    return measure_rates([sizes[number] for number in numbers], lengths, grid.target_duration)


def worst_case_rates(rendition: Rendition, has_audio: bool) -> Rates:
    """What hard scenes cost with the encoder's settings; plain noise takes a fifth more at its worst."""
    peak = round((rendition.cap + (audio_filters.BITRATE_BPS if has_audio else 0)) * _MUXING_OVERHEAD_FACTOR)
    return Rates(peak, peak // 2)


def estimate_rates(sizes: Mapping[int, int], grid: Grid, worst_case: Rates) -> Rates:
    """Of a whole rendition of which these segments are there: never less than what they take.

    It begins at the caps and comes down to what is measured the more of it there is. It is rounded up, by a quarter at
    most: what comes next may take a little more, and a playlist that says it has to be written a few times only.
    """
    if not sizes:
        return worst_case
    known, fear = measure_segments(sizes, grid), _ASSUMED_PEAK_SEGMENTS / (_ASSUMED_PEAK_SEGMENTS + len(sizes))
    peak = _round_up_to_step(known.peak + fear * max(0, worst_case.peak - known.peak))
    average = _round_up_to_step(known.average + fear * max(0, worst_case.average - known.average))
    peak = max(known.peak, min(peak, worst_case.peak))
    return Rates(peak, min(peak, average))


def _round_up_to_step(bits: float) -> int:
    return math.ceil(_ESTIMATE_STEP_FACTOR ** math.ceil(math.log(max(bits, 1), _ESTIMATE_STEP_FACTOR)))
