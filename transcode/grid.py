"""The grid of frames that every rendition of a film is cut on, known as soon as the film is probed.

Times are film times in exact fractions of seconds: 0 is the first frame, whatever the source's clock says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

SEGMENT_SECONDS = 4
MPEG_CLOCK_HZ = 90_000  # ticks per second of an MPEG transport stream

# The first chunks are short, so that finished segments appear soon; long ones keep ffmpeg's start-up cost small.
_FIRST_CHUNK_SEGMENTS = (1, 2, 4)
_CHUNK_SEGMENTS = 8
_FIRST_CHUNKS_TOTAL_SEGMENTS = sum(_FIRST_CHUNK_SEGMENTS)

# x264 with B-frames and a B-pyramid decodes two frames ahead of what it shows; `x264.py` fixes both.
_DECODE_AHEAD_FRAMES = 2

STANDARD_FRAME_RATES = tuple(
    Fraction(rate) for rate in ("10", "12", "12.5", "15", "18", "20", "24000/1001", "24", "25", "30000/1001", "30")
) + tuple(Fraction(rate) for rate in ("40", "48000/1001", "48", "50", "60000/1001", "60"))
MAX_FRAME_RATE = Fraction(60)
_FRAME_RATE_TOLERANCE = Fraction(4, 10_000)  # 23.976 and 24 are 10/10000 apart
_MIN_CONSTANT_FRAME_RATE = Fraction(1)
_LOWEST_FRACTION = Fraction(48)
# Distances between pictures of a constant rate: so far off (frames, and seconds for rounded clocks), but so many.
_JITTER, _CLOCK_STEP_S, _REGULAR_SHARE = 0.25, 0.0011, 0.99
_MAX_DISTANCE_S = 1.5  # longer ones are holes between samples, or stills
# Of a variable rate: so many pictures may fall on a place of the grid that has another one already.
_MAX_LOST_SHARE = 0.002
_SIBLING = Fraction(1002, 1000)
_FEWEST = 3
_MAX_TIMES, _RUN = 20_000, 1_000
# Where film time 0 may lie before the first picture, in frames; and how near to the middle between two places on the
# grid a time may be before rounding decides by chance.
_PHASES, _CHANCE = (0.0, 0.25, -0.25), 0.02


def choose_frame_rate(average: Fraction, nominal: Fraction) -> Fraction:
    """The constant rate for a source: its own, or the nearest usual one of a variable source; at most 60.

    Of 100, 120, 144 and 240 pictures a second every second, third or fourth one is taken; 75 and 90 become 60.

    `average` is frames over duration; `nominal` the rate that all time stamps fit, 0 when it is unknown.
    """
    rate = average or nominal or Fraction(25)
    if (divisor := _divisor(rate)) > 1:
        # A whole fraction shows every picture equally long. Below 48 too much is lost for that: 75, 85 and 90 become
        # 60 and skip single pictures, which at such rates nobody sees.
        if rate / divisor < _LOWEST_FRACTION * (1 - _FRAME_RATE_TOLERANCE):
            return MAX_FRAME_RATE
        rate, nominal = rate / divisor, nominal / divisor
    nearest = min(STANDARD_FRAME_RATES, key=lambda usual: abs(usual - rate))
    if abs(nearest - rate) <= nearest * _FRAME_RATE_TOLERANCE:
        return nearest
    constant = rate >= _MIN_CONSTANT_FRAME_RATE and abs(nominal - rate) <= rate * _FRAME_RATE_TOLERANCE
    return rate.limit_denominator(1001) if constant else nearest


def _divisor(rate: Fraction) -> int:
    return next(number for number in range(1, 100_000) if rate / number <= MAX_FRAME_RATE * (1 + _FRAME_RATE_TOLERANCE))


def fit_frame_rate(
    times: Sequence[float], origin: float, average: Fraction, nominal: Fraction
) -> tuple[Fraction, Fraction]:
    """The rate for pictures at these times (seconds, in order), and by how many seconds film time 0 precedes `origin`.

    `average` and `nominal` are what headers say, see `frame_rate`; of a constant rate that is right.
    """
    rate, own = choose_frame_rate(average, nominal), average or nominal
    is_kept = own > MAX_FRAME_RATE or abs(rate - own) <= own * _FRAME_RATE_TOLERANCE
    if len(times) < _FEWEST or not own or (is_kept and _is_regular(times, own)):
        return rate, Fraction(0)
    return _variable_rate(times, origin, rate)


def _is_regular(times: Sequence[float], rate: Fraction) -> bool:
    """Whether pictures come at this rate."""
    usual = float(1 / rate)
    distances = [after - before for before, after in pairwise(times) if after - before <= max(_MAX_DISTANCE_S, usual)]
    near = sum(abs(distance - usual) <= _JITTER * usual + _CLOCK_STEP_S for distance in distances)
    return near >= _REGULAR_SHARE * len(distances)


def _variable_rate(times: Sequence[float], origin: float, average: Fraction) -> tuple[Fraction, Fraction]:
    """The slowest usual rate at which nearly every picture has a place on the grid, at most half a frame from its time.

    `average`: a rate that is tried besides. Returns the rate, and the seconds by which film time 0 has to lie before
    `origin` for that: a quarter of a frame at most, so that pictures in the middle between two places, as those of
    telecined films are, do not fall on one. A picture that stands costs next to nothing, lost ones are missed.
    """
    times = _thinned(times)
    rates = sorted({*STANDARD_FRAME_RATES, average})
    found = [min((_lost(times, origin, rate, phase), abs(phase), phase) for phase in _PHASES) for rate in rates]
    most = min(lost for lost, _, _ in found) + _MAX_LOST_SHARE * len(times)
    place = next(place for place, (lost, _, _) in enumerate(found) if lost <= most)
    siblings = [rate for rate in rates[place:] if rate <= rates[place] * _SIBLING]  # 24000/1001 and 24
    fps = min(siblings, key=lambda rate: (found[rates.index(rate)][0], _displacement(times, origin, rate)))
    return fps, Fraction(found[rates.index(fps)][2]) / fps


def _thinned(times: Sequence[float]) -> Sequence[float]:
    """Runs of them from everywhere."""
    if len(times) <= _MAX_TIMES:
        return times
    runs = _MAX_TIMES // _RUN
    starts = [(len(times) - _RUN) * number // (runs - 1) for number in range(runs)]
    return [time for start in starts for time in times[start : start + _RUN]]


def _displacement(times: Sequence[float], origin: float, rate: Fraction) -> float:
    """The sum of distances from the grid, in frames."""
    places = [(time - origin) * float(rate) for time in times]
    return sum(abs(place - round(place)) for place in places)


def _lost(times: Sequence[float], origin: float, rate: Fraction, phase: float) -> int:
    """How many fall on the place of the next one on the grid, or may do so by rounding."""
    places = [(time - origin) * float(rate) + 0.5 + phase for time in times]
    return sum(math.floor(before + _CHANCE) >= math.floor(after - _CHANCE) for before, after in pairwise(places))


@dataclass(frozen=True, slots=True)
class Grid:
    """`frames` frames at a constant rate, cut into segments of `gop` frames, and those grouped into chunks."""

    fps: Fraction
    frame_count: int

    @property
    def gop(self) -> int:
        """Frames of every segment but the last."""
        return max(1, round(self.fps * SEGMENT_SECONDS))

    @property
    def segment_count(self) -> int:
        """How many there are."""
        return -(-self.frame_count // self.gop)

    @property
    def duration(self) -> Fraction:
        """Seconds."""
        return self.frame_count / self.fps

    @property
    def target_duration(self) -> int:
        """EXT-X-TARGETDURATION: no segment is longer when rounded to whole seconds (RFC 8216, 4.3.3.1)."""
        return max(1, nearest_integer(min(self.gop, self.frame_count) / self.fps))

    def segment_start(self, segment: int) -> Fraction:
        """Time of a segment's first frame; of the film's end for the number after the last."""
        return self._first_frame(segment) / self.fps

    def segment_duration(self, segment: int) -> Fraction:
        """Seconds of one segment."""
        return self.count_frames(segment, segment + 1) / self.fps

    def count_frames(self, first: int, stop: int) -> int:
        """Frames of a run of segments, `after` not included."""
        return self._first_frame(stop) - self._first_frame(first)

    def cut_tick(self, segment: int) -> int:
        """The tick, on a clock that is 0 at the first frame, at which a muxer begins a segment.

        It is the decoding time of the segment's first frame: sound from there on goes into this segment.
        """
        return nearest_integer((self._first_frame(segment) - _DECODE_AHEAD_FRAMES) * MPEG_CLOCK_HZ / self.fps)

    @property
    def chunk_count(self) -> int:
        """How many there are."""
        return self.chunk_of(self.segment_count - 1) + 1

    def chunk_segments(self, index: int) -> range:
        """The segments of a chunk."""
        return range(min(_chunk_start(index), self.segment_count), min(_chunk_start(index + 1), self.segment_count))

    def chunk_of(self, segment: int) -> int:
        """The chunk that a segment is in."""
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
    """The nearest integer, halves away from zero: as ffmpeg rescales time stamps, and as players round lengths."""
    whole = int(abs(value) + Fraction(1, 2))
    return whole if value >= 0 else -whole
