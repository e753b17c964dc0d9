"""Bit rates of renditions: measured on finished segments, estimated for those still to be encoded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from transcode.ffmpeg import audio_filters
from transcode.grid import Grid
from transcode.ladder import Rendition

# Rough overhead of the transport stream, used until segments have been measured.
_MUXING_OVERHEAD_FACTOR = Fraction(105, 100)
_ROUNDING_TOLERANCE_S = 1e-6  # far below the duration of a frame

# Segments at the cap that an estimate adds to the measured ones: a black opening says little about the rest of a video.
_ASSUMED_PEAK_SEGMENTS = 4
_ESTIMATE_STEP_FACTOR = 1.25  # estimates are rounded up to a power of it


@dataclass(frozen=True, slots=True)
class Rates:
    """Peak and average segment bit rate in bits per second (RFC 8216, 4.1 and 4.3.4.2)."""

    peak: int
    average: int


ZERO_RATES = Rates(0, 0)
ALTERNATE_AUDIO_PEAK_BPS = audio_filters.BITRATE_BPS * 5 // 4  # upper bound, transport stream included


def measure_rates(sizes: Sequence[int], durations: Sequence[Fraction], target_duration: int) -> Rates:
    """Return the rates of consecutive segments, given their sizes in bytes and their durations in seconds.

    The peak is the largest rate of any run of segments that lasts from half a target duration to one and a half
    (RFC 8216, 4.1). Takes time linear in the number of segments.
    """
    seconds = [float(duration) for duration in durations]
    average = sum(sizes) * 8 / math.fsum(seconds)
    peak = average
    for first in range(len(sizes)):
        run_size, run_seconds = 0, 0.0
        for number in range(first, len(sizes)):
            run_size, run_seconds = run_size + sizes[number], run_seconds + seconds[number]
            if run_seconds > 1.5 * target_duration + _ROUNDING_TOLERANCE_S:
                break
            if run_seconds >= 0.5 * target_duration - _ROUNDING_TOLERANCE_S:
                peak = max(peak, run_size * 8 / run_seconds)
    return Rates(math.ceil(peak), math.ceil(average))


def measure_segments(sizes: Mapping[int, int], grid: Grid) -> Rates:
    """Return the rates of some segments of a rendition: `sizes` are bytes by segment number, at least one."""
    numbers, last = sorted(sizes), grid.segment_count - 1
    # All segments but the last have one duration: computing thousands of exact fractions would take long.
    usual_duration = grid.segment_duration(0)
    durations = [grid.segment_duration(last) if number == last else usual_duration for number in numbers]
    return measure_rates([sizes[number] for number in numbers], durations, grid.target_duration)


def worst_case_rates(rendition: Rendition, has_audio: bool) -> Rates:
    """Return the rates of scenes that are hard to encode; plain noise exceeds the peak by up to a fifth."""
    peak = round((rendition.cap + (audio_filters.BITRATE_BPS if has_audio else 0)) * _MUXING_OVERHEAD_FACTOR)
    return Rates(peak, peak // 2)


def estimate_rates(sizes: Mapping[int, int], grid: Grid, worst_case: Rates) -> Rates:
    """Return an estimate for a whole rendition from the segments encoded so far (bytes by number).

    The estimate starts at the worst case and approaches the measured rates as segments are added; it is never below
    these. It is rounded up, by a quarter at most: later segments may need a little more, and the master playlist is
    rewritten only a few times.
    """
    if not sizes:
        return worst_case
    measured = measure_segments(sizes, grid)
    worst_case_share = _ASSUMED_PEAK_SEGMENTS / (_ASSUMED_PEAK_SEGMENTS + len(sizes))
    peak = _round_up_to_step(measured.peak + worst_case_share * max(0, worst_case.peak - measured.peak))
    average = _round_up_to_step(measured.average + worst_case_share * max(0, worst_case.average - measured.average))
    peak = max(measured.peak, min(peak, worst_case.peak))
    return Rates(peak, min(peak, average))


def _round_up_to_step(rate: float) -> int:
    return math.ceil(_ESTIMATE_STEP_FACTOR ** math.ceil(math.log(max(rate, 1), _ESTIMATE_STEP_FACTOR)))
