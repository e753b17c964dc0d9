"""The segment grid: the frames that every rendition of a video is cut on, known as soon as the video is probed.

Times are seconds of the video as exact fractions: 0 is the first frame, whatever the source's clock says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

SEGMENT_SECONDS = 4
MPEG_CLOCK_HZ = 90_000  # of timestamps in an MPEG transport stream

# The first chunks are short, so that finished segments appear soon; long ones keep ffmpeg's start-up cost small.
_FIRST_CHUNK_SEGMENTS = (1, 2, 4)
_CHUNK_SEGMENTS = 8
_FIRST_CHUNKS_TOTAL_SEGMENTS = sum(_FIRST_CHUNK_SEGMENTS)

# x264 with B-frames and a B-pyramid decodes two frames ahead of what it shows; `ffmpeg/x264.py` sets both.
_DECODE_AHEAD_FRAMES = 2

STANDARD_FRAME_RATES = tuple(
    Fraction(rate) for rate in ("10", "12", "12.5", "15", "18", "20", "24000/1001", "24", "25", "30000/1001", "30")
) + tuple(Fraction(rate) for rate in ("40", "48000/1001", "48", "50", "60000/1001", "60"))
MAX_FRAME_RATE = Fraction(60)
_FRAME_RATE_TOLERANCE = Fraction(4, 10_000)  # relative; 23.976 and 24 are 10/10000 apart
_MIN_CONSTANT_FRAME_RATE = Fraction(1)
_MIN_DIVIDED_FRAME_RATE = Fraction(48)

# A rate is constant if this share of the distances between pictures deviates by no more than a part of a frame, plus
# some time for clocks that are rounded to milliseconds.
_MAX_JITTER_FRAMES, _CLOCK_STEP_S, _MIN_REGULAR_SHARE = 0.25, 0.0011, 0.99
_MAX_DISTANCE_S = 1.5  # longer distances are gaps between samples, or still images
_MIN_SAMPLED_TIMES = 3
_MAX_SAMPLED_TIMES, _RUN_LENGTH = 20_000, 1_000
# At a variable rate, this share of the pictures may share a frame of the grid with another one.
_MAX_LOST_SHARE = 0.002
_SIBLING_RATE_RATIO = Fraction(1002, 1000)  # 24000/1001 and 24 are siblings
# By how many frames the video may start before or after the first picture. Times this close to the middle between two
# frames of the grid are rounded by chance.
_PHASES, _ROUNDING_MARGIN_FRAMES = (0.0, 0.25, -0.25), 0.02


def choose_frame_rate(average: Fraction, nominal: Fraction) -> Fraction:
    """Return a constant frame rate for a source: its own, or the nearest standard one if it varies; at most 60.

    From 100, 120, 144 and 240 frames per second, every second, third or fourth frame is taken; 75 and 90 become 60.
    `average` is frames over duration; `nominal` is the rate that fits all timestamps, 0 if unknown.
    """
    rate = average or nominal or Fraction(25)
    if (divisor := _frame_rate_divisor(rate)) > 1:
        # An integer fraction shows every frame for the same time. Below 48 too much is lost for that: 75, 85 and 90
        # become 60 and skip single frames, which nobody sees at such rates.
        if rate / divisor < _MIN_DIVIDED_FRAME_RATE * (1 - _FRAME_RATE_TOLERANCE):
            return MAX_FRAME_RATE
        rate, nominal = rate / divisor, nominal / divisor
    nearest = min(STANDARD_FRAME_RATES, key=lambda standard: abs(standard - rate))
    if abs(nearest - rate) <= nearest * _FRAME_RATE_TOLERANCE:
        return nearest
    is_constant = rate >= _MIN_CONSTANT_FRAME_RATE and abs(nominal - rate) <= rate * _FRAME_RATE_TOLERANCE
    return rate.limit_denominator(1001) if is_constant else nearest


def _frame_rate_divisor(rate: Fraction) -> int:
    """Return the smallest integer that brings a rate down to the maximum."""
    max_rate = MAX_FRAME_RATE * (1 + _FRAME_RATE_TOLERANCE)
    return next(divisor for divisor in range(1, 100_000) if rate / divisor <= max_rate)


def fit_frame_rate(
    times: Sequence[float], origin: float, average: Fraction, nominal: Fraction
) -> tuple[Fraction, Fraction]:
    """Return a frame rate for pictures at `times`, and by how many seconds the video starts before `origin`.

    `times`: sampled presentation times in seconds, in order. `average` and `nominal` are the rates in the headers, see
    `choose_frame_rate`; they are kept if the samples have a constant rate.
    """
    rate, source_rate = choose_frame_rate(average, nominal), average or nominal
    is_kept = source_rate > MAX_FRAME_RATE or abs(rate - source_rate) <= source_rate * _FRAME_RATE_TOLERANCE
    if len(times) < _MIN_SAMPLED_TIMES or not source_rate or (is_kept and _is_regular(times, source_rate)):
        return rate, Fraction(0)
    return _fit_variable_rate(times, origin, rate)


def _is_regular(times: Sequence[float], rate: Fraction) -> bool:
    """Return whether pictures follow each other at this rate."""
    interval = float(1 / rate)
    distances = [later - earlier for earlier, later in pairwise(times)]
    relevant = [distance for distance in distances if distance <= max(_MAX_DISTANCE_S, interval)]
    tolerance = _MAX_JITTER_FRAMES * interval + _CLOCK_STEP_S
    regular_count = sum(abs(distance - interval) <= tolerance for distance in relevant)
    return regular_count >= _MIN_REGULAR_SHARE * len(relevant)


def _fit_variable_rate(times: Sequence[float], origin: float, average: Fraction) -> tuple[Fraction, Fraction]:
    """Return the slowest standard rate, or `average`, at which nearly every picture gets a frame of the grid.

    Each frame is at most half a frame from its picture's time. Also return by how many seconds the video starts before
    `origin`: a quarter of a frame at most, so that pictures in the middle between two frames of the grid, as those of
    telecined films are, do not fall on the same one. A repeated picture costs next to nothing; a dropped one shows.
    """
    times = _thin_out(times)
    rates = sorted({*STANDARD_FRAME_RATES, average})
    fits = [min((_count_lost(times, origin, rate, phase), abs(phase), phase) for phase in _PHASES) for rate in rates]
    max_lost = min(lost for lost, _, _ in fits) + _MAX_LOST_SHARE * len(times)
    slowest = next(index for index, (lost, _, _) in enumerate(fits) if lost <= max_lost)
    siblings = [rate for rate in rates[slowest:] if rate <= rates[slowest] * _SIBLING_RATE_RATIO]
    fps = min(siblings, key=lambda rate: (fits[rates.index(rate)][0], _total_displacement(times, origin, rate)))
    return fps, Fraction(fits[rates.index(fps)][2]) / fps


def _thin_out(times: Sequence[float]) -> Sequence[float]:
    """Return all times, or evenly spread runs of them if there are too many."""
    if len(times) <= _MAX_SAMPLED_TIMES:
        return times
    run_count = _MAX_SAMPLED_TIMES // _RUN_LENGTH
    starts = [(len(times) - _RUN_LENGTH) * number // (run_count - 1) for number in range(run_count)]
    return [time for start in starts for time in times[start : start + _RUN_LENGTH]]


def _total_displacement(times: Sequence[float], origin: float, rate: Fraction) -> float:
    """Return the sum of the distances from the grid, in frames."""
    positions = [(time - origin) * float(rate) for time in times]
    return sum(abs(position - round(position)) for position in positions)


def _count_lost(times: Sequence[float], origin: float, rate: Fraction, phase: float) -> int:
    """Return how many pictures share a frame of the grid with the next one, or may do so by rounding."""
    positions = [(time - origin) * float(rate) + 0.5 + phase for time in times]
    margin = _ROUNDING_MARGIN_FRAMES
    return sum(math.floor(earlier + margin) >= math.floor(later - margin) for earlier, later in pairwise(positions))


@dataclass(frozen=True, slots=True)
class Grid:
    """`frame_count` frames at a constant rate, cut into segments of `gop` frames, which are grouped into chunks."""

    fps: Fraction
    frame_count: int

    @property
    def gop(self) -> int:
        """Return the number of frames in every segment but the last."""
        return max(1, round(self.fps * SEGMENT_SECONDS))

    @property
    def segment_count(self) -> int:
        """Return the number of segments."""
        return -(-self.frame_count // self.gop)

    @property
    def duration(self) -> Fraction:
        """Return the duration in seconds."""
        return self.frame_count / self.fps

    @property
    def target_duration(self) -> int:
        """Return EXT-X-TARGETDURATION: the longest segment, rounded to whole seconds (RFC 8216, section 4.3.3.1)."""
        return max(1, nearest_integer(min(self.gop, self.frame_count) / self.fps))

    def segment_start(self, segment: int) -> Fraction:
        """Return the time of a segment's first frame in seconds; for the number after the last one, that of the end."""
        return self._first_frame(segment) / self.fps

    def segment_duration(self, segment: int) -> Fraction:
        """Return the duration of a segment in seconds."""
        return self.count_frames(segment, segment + 1) / self.fps

    def count_frames(self, first: int, stop: int) -> int:
        """Return the number of frames in the segments from `first` to `stop`, which is not included."""
        return self._first_frame(stop) - self._first_frame(first)

    def cut_tick(self, segment: int) -> int:
        """Return the tick, on a clock that is 0 at the first frame, at which a muxer begins a segment.

        It is the decoding time of the segment's first frame; audio from there on goes into this segment.
        """
        return nearest_integer((self._first_frame(segment) - _DECODE_AHEAD_FRAMES) * MPEG_CLOCK_HZ / self.fps)

    @property
    def chunk_count(self) -> int:
        """Return the number of chunks."""
        return self.chunk_of(self.segment_count - 1) + 1

    def chunk_segments(self, index: int) -> range:
        """Return the numbers of the segments in a chunk."""
        return range(min(_chunk_start(index), self.segment_count), min(_chunk_start(index + 1), self.segment_count))

    def chunk_of(self, segment: int) -> int:
        """Return the index of the chunk that holds a segment."""
        if segment >= _FIRST_CHUNKS_TOTAL_SEGMENTS:
            return len(_FIRST_CHUNK_SEGMENTS) + (segment - _FIRST_CHUNKS_TOTAL_SEGMENTS) // _CHUNK_SEGMENTS
        return next(index for index in range(len(_FIRST_CHUNK_SEGMENTS)) if segment < _chunk_start(index + 1))

    def _first_frame(self, segment: int) -> int:
        return min(segment * self.gop, self.frame_count)


def _chunk_start(index: int) -> int:
    if index >= len(_FIRST_CHUNK_SEGMENTS):
        return _FIRST_CHUNKS_TOTAL_SEGMENTS + (index - len(_FIRST_CHUNK_SEGMENTS)) * _CHUNK_SEGMENTS
    return sum(_FIRST_CHUNK_SEGMENTS[:index])


def nearest_integer(value: Fraction) -> int:
    """Round halves away from zero, as ffmpeg does with timestamps and players do with durations."""
    whole = int(abs(value) + Fraction(1, 2))
    return whole if value >= 0 else -whole
