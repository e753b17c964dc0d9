"""The ladder: which renditions a video gets, and how many bits each may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

_WIDE_ASPECT_RATIO = Fraction(16, 9)
_MAX_SIDE_PX = 4096
_MIN_SIDE_PX = 16  # smaller pictures do not play anywhere

# Maximum bit rates up to 30 frames per second: peaks of hard scenes, far above the average of most videos.
# The quality for each name is in `transcode.ffmpeg.x264`.
_MAX_BITRATES_BPS = {"480p": 2_500_000, "720p": 5_000_000, "1080p": 9_000_000}
RESOLUTIONS = tuple(_MAX_BITRATES_BPS)  # names of all renditions, smallest first
_HIGH_FRAME_RATE_FACTOR = Fraction(7, 5)  # above 30 frames per second

# ITU-T H.264, table A-1: level, macroblocks per second, macroblocks per frame, bits per second (High profile).
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
    """One size of a video: even sides in square pixels, `cap` in bits per second, an H.264 level such as "4.0"."""

    name: str
    width: int
    height: int
    cap: int
    level: str

    @property
    def codec(self) -> str:
        """Return the value for CODECS (RFC 6381): High profile at this level."""
        return f"avc1.6400{int(self.level.replace('.', '')):02x}"


def build_ladder(width: int, height: int, fps: Fraction) -> tuple[Rendition, ...]:
    """Return the renditions of a picture as displayed (rotated, square pixels), the smallest first; never upscaled.

    Names refer to the shorter side, so portrait videos get the same renditions as landscape ones. A wide picture
    qualifies by its longer side too: 1920x800 gets 1080p.
    """
    names = [name for name in _MAX_BITRATES_BPS if _qualifies(width, height, int(name[:-1]))] or RESOLUTIONS[:1]
    return _merge_equal_sizes([_build_rendition(name, width, height, fps) for name in names])


def _merge_equal_sizes(renditions: Sequence[Rendition]) -> tuple[Rendition, ...]:
    """Merge renditions of the same size, as very wide videos have them: the lowest name with the highest cap."""
    by_size: dict[tuple[int, int], Rendition] = {}
    for rendition in renditions:
        smaller = by_size.get((rendition.width, rendition.height))
        by_size[rendition.width, rendition.height] = replace(rendition, name=smaller.name) if smaller else rendition
    return tuple(by_size.values())


def _qualifies(width: int, height: int, lines: int) -> bool:
    # A few cropped pixels do not cost a video a rendition.
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
