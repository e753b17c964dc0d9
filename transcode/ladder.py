"""The ladder: which renditions a film gets, and what each may cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

_WIDE_ASPECT_RATIO = Fraction(16, 9)
_MAX_SIDE_PX = 4096
_MIN_SIDE_PX = 16  # smaller pictures do not play anywhere

# Caps of bits per second up to 30 frames a second: peaks of hard scenes, far above what films need on average.
_MAX_BITRATES_BPS = {"480p": 2_500_000, "720p": 5_000_000, "1080p": 9_000_000}
RESOLUTIONS = tuple(_MAX_BITRATES_BPS)  # names of all renditions, smallest first
_HIGH_FRAME_RATE_FACTOR = Fraction(7, 5)  # what more than 30 frames a second may cost on top

# ITU-T H.264, table A-1: level, macroblocks a second, macroblocks a frame, bits a second (High profile).
_H264_LEVELS = (
    ("3.0", 40_500, 1_620, 12_500_000),
    ("3.1", 108_000, 3_600, 17_500_000),
    ("3.2", 216_000, 5_120, 25_000_000),
    ("4.0", 245_760, 8_192, 25_000_000),
    ("4.2", 522_240, 8_704, 62_500_000),
    ("5.0", 589_824, 22_080, 168_750_000),
    ("5.1", 983_040, 36_864, 300_000_000),
    ("5.2", 2_073_600, 36_864, 300_000_000),
)


@dataclass(frozen=True, slots=True)
class Rendition:
    """One rung: even sizes in square pixels, the cap in bits per second, the H.264 level such as "4.0"."""

    name: str
    width: int
    height: int
    cap: int
    level: str

    @property
    def codec(self) -> str:
        """For CODECS (RFC 6381): High profile at this level."""
        return f"avc1.6400{int(self.level.replace('.', '')):02x}"


def build_ladder(width: int, height: int, fps: Fraction) -> tuple[Rendition, ...]:
    """Renditions for a picture as it is shown (rotated, square pixels), the smallest first; never upscaled.

    The name is the shorter side, so portrait films climb like landscape ones. A wide film reaches a rung by its
    longer side too: 1920x800 is a 1080p film.
    """
    reached = [name for name in _MAX_BITRATES_BPS if _reaches(width, height, int(name[:-1]))] or ["480p"]
    return _without_doubles([_build_rendition(name, width, height, fps) for name in reached])


def _without_doubles(rungs: Sequence[Rendition]) -> tuple[Rendition, ...]:
    """Of rungs of one size, as very wide films have them, the lowest name with the highest cap."""
    kept: dict[tuple[int, int], Rendition] = {}
    for rung in rungs:
        same = kept.get((rung.width, rung.height))
        kept[rung.width, rung.height] = replace(rung, name=same.name) if same else rung
    return tuple(kept.values())


def _reaches(width: int, height: int, lines: int) -> bool:
    # A pixel or two of cropping does not cost a film its rung.
    return min(width, height) >= lines - 8 or max(width, height) >= lines * _WIDE_ASPECT_RATIO - 16


def _build_rendition(name: str, width: int, height: int, fps: Fraction) -> Rendition:
    lines = int(name[:-1])
    scale = min(Fraction(1), Fraction(lines, min(width, height)), Fraction(_MAX_SIDE_PX, max(width, height)))
    size = round_to_even(width * scale, _MIN_SIDE_PX), round_to_even(height * scale, _MIN_SIDE_PX)
    cap = int(_MAX_BITRATES_BPS[name] * (_HIGH_FRAME_RATE_FACTOR if fps > 30 else 1))
    return Rendition(name, *size, cap, _select_level(*size, fps, cap))


def round_to_even(pixels: Fraction, minimum: int) -> int:
    """Return the nearest even number of pixels, at least `minimum`: 4:2:0 pictures have even sides."""
    return max(minimum, 2 * round(pixels / 2))


def _select_level(width: int, height: int, fps: Fraction, bitrate: int) -> str:
    blocks = -(-width // 16) * -(-height // 16)
    for level, per_second, per_frame, bits in _H264_LEVELS:
        if blocks <= per_frame and blocks * fps <= per_second and bitrate <= bits:
            return level
    return _H264_LEVELS[-1][0]
