"""The grid of frames that every rendition of a film is cut on, known as soon as the film is probed.

Times are film times in exact fractions of seconds: 0 is the first frame, whatever the source's clock says.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

SEGMENT_SECONDS = 4
CLOCK = 90_000  # ticks per second of an MPEG transport stream

# The first chunks are short, so that finished segments appear soon; long ones keep ffmpeg's start-up cost small.
_FIRST_CHUNKS = (1, 2, 4)
_CHUNK = 8
_FIRST_TOTAL = sum(_FIRST_CHUNKS)

# x264 with B-frames and a B-pyramid decodes two frames ahead of what it shows; `x264.py` fixes both.
_DECODE_AHEAD = 2

USUAL_RATES = tuple(
    Fraction(rate) for rate in ("10", "12", "12.5", "15", "18", "20", "24000/1001", "24", "25", "30000/1001", "30")
) + tuple(Fraction(rate) for rate in ("40", "48000/1001", "48", "50", "60000/1001", "60"))
FASTEST = Fraction(60)
_SAME_RATE = Fraction(4, 10_000)  # 23.976 and 24 are 10/10000 apart
_SLOWEST = Fraction(1)


def frame_rate(average: Fraction, nominal: Fraction) -> Fraction:
    """The constant rate for a source: its own, or the nearest usual one of a variable source; at most 60.

    `average` is frames over duration; `nominal` the rate that all time stamps fit, 0 when it is unknown.
    """
    rate = average or nominal or Fraction(25)
    while rate > FASTEST * (1 + _SAME_RATE):
        rate, nominal = rate / 2, nominal / 2
    nearest = min(USUAL_RATES, key=lambda usual: abs(usual - rate))
    if abs(nearest - rate) <= nearest * _SAME_RATE:
        return nearest
    constant = rate >= _SLOWEST and abs(nominal - rate) <= rate * _SAME_RATE
    return rate.limit_denominator(1001) if constant else nearest


@dataclass(frozen=True, slots=True)
class Grid:
    """`frames` frames at a constant rate, cut into segments of `gop` frames, and those grouped into chunks."""

    fps: Fraction
    frames: int

    @property
    def gop(self) -> int:
        """Frames of every segment but the last."""
        return max(1, round(self.fps * SEGMENT_SECONDS))

    @property
    def segments(self) -> int:
        """How many there are."""
        return -(-self.frames // self.gop)

    @property
    def duration(self) -> Fraction:
        """Seconds."""
        return self.frames / self.fps

    @property
    def target(self) -> int:
        """EXT-X-TARGETDURATION: no segment is longer when rounded to whole seconds (RFC 8216, 4.3.3.1)."""
        return max(1, nearest_integer(min(self.gop, self.frames) / self.fps))

    def start(self, segment: int) -> Fraction:
        """Time of a segment's first frame; of the film's end for the number after the last."""
        return self._first_frame(segment) / self.fps

    def length(self, segment: int) -> Fraction:
        """Seconds of one segment."""
        return self.frames_of(segment, segment + 1) / self.fps

    def frames_of(self, first: int, after: int) -> int:
        """Frames of a run of segments, `after` not included."""
        return self._first_frame(after) - self._first_frame(first)

    def cut(self, segment: int) -> int:
        """The tick, on a clock that is 0 at the first frame, at which a muxer begins a segment.

        It is the decoding time of the segment's first frame: sound from there on goes into this segment.
        """
        return nearest_integer((self._first_frame(segment) - _DECODE_AHEAD) * CLOCK / self.fps)

    @property
    def chunks(self) -> int:
        """How many there are."""
        return self.chunk_of(self.segments - 1) + 1

    def chunk(self, index: int) -> range:
        """The segments of a chunk."""
        return range(min(_chunk_start(index), self.segments), min(_chunk_start(index + 1), self.segments))

    def chunk_of(self, segment: int) -> int:
        """The chunk that a segment is in."""
        if segment >= _FIRST_TOTAL:
            return len(_FIRST_CHUNKS) + (segment - _FIRST_TOTAL) // _CHUNK
        return next(index for index in range(len(_FIRST_CHUNKS)) if segment < _chunk_start(index + 1))

    def _first_frame(self, segment: int) -> int:
        return min(segment * self.gop, self.frames)


def _chunk_start(index: int) -> int:
    if index >= len(_FIRST_CHUNKS):
        return _FIRST_TOTAL + (index - len(_FIRST_CHUNKS)) * _CHUNK
    return sum(_FIRST_CHUNKS[:index])


def nearest_integer(value: Fraction) -> int:
    """The nearest integer, halves away from zero: as ffmpeg rescales time stamps, and as players round lengths."""
    whole = int(abs(value) + Fraction(1, 2))
    return whole if value >= 0 else -whole
