"""Playlists as RFC 8216 and Apple's HLS authoring specification want them; text in, no files touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from transcode.grid import Grid
from transcode.ladder import Rendition
from transcode.layout import IFRAME_PLAYLIST, MEDIA_PLAYLIST, segment_name
from transcode.plans import sound
from transcode.timeline import Timeline

# What the packets of a transport stream add, roughly, while nothing has been measured.
_MUXING = Fraction(105, 100)


@dataclass(frozen=True, slots=True)
class Rates:
    """Bits per second: of the worst stretch about one target duration long, and of the whole (RFC 8216, 4.3.4.2)."""

    peak: int
    average: int


@dataclass(frozen=True, slots=True)
class IFrame:
    """Where the I-frame of a segment ends, in bytes from the segment's beginning."""

    segment: int
    size: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Rates of one rendition and of its I-frame playlist."""

    stream: Rates
    iframes: Rates


def media_playlist(grid: Grid) -> str:
    """All segments of a rendition, whether they are encoded yet or not."""
    lines = [*_head(grid, 6), "#EXT-X-INDEPENDENT-SEGMENTS"]
    for number in range(grid.segments):
        lines += [f"#EXTINF:{float(grid.length(number)):.6f},", segment_name(number)]
    return _text([*lines, "#EXT-X-ENDLIST"])


def iframe_playlist(grid: Grid, iframes: Sequence[IFrame]) -> str:
    """One picture per segment, for scrubbing. A player reads the first bytes of a segment and shows the picture."""
    lines = [*_head(grid, 6), "#EXT-X-I-FRAMES-ONLY"]
    for iframe in iframes:
        lines += [
            f"#EXTINF:{float(grid.length(iframe.segment)):.6f},",
            f"#EXT-X-BYTERANGE:{iframe.size}@0",
            segment_name(iframe.segment),
        ]
    return _text([*lines, "#EXT-X-ENDLIST"])


def master_playlist(timeline: Timeline, measured: dict[str, Measured] | None = None) -> str:
    """The adaptive playlist: with the caps as bandwidths until the film is finished, then with measured ones.

    I-frame playlists are listed with the measured rates, for they exist from then on.
    """
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for rendition in timeline.renditions:
        rates = measured[rendition.name].stream if measured else _capped(timeline, rendition)
        lines += [f"#EXT-X-STREAM-INF:{_stream(timeline, rendition, rates)}", f"{rendition.name}/{MEDIA_PLAYLIST}"]
    for rendition in timeline.renditions if measured else ():
        assert measured is not None
        described = _described(rendition, measured[rendition.name].iframes, [rendition.codec])
        lines.append(f'#EXT-X-I-FRAME-STREAM-INF:{described},URI="{rendition.name}/{IFRAME_PLAYLIST}"')
    return _text(lines)


def rates(sizes: Sequence[int], lengths: Sequence[Fraction], target: int) -> Rates:
    """Of segments of these many bytes and seconds."""
    average = sum(sizes) * 8 / sum(lengths)
    peak = average
    for first in range(len(sizes)):
        size, length = 0, Fraction(0)
        for place in range(first, len(sizes)):
            size, length = size + sizes[place], length + lengths[place]
            if length > Fraction(3, 2) * target:
                break
            if length >= Fraction(1, 2) * target:
                peak = max(peak, size * 8 / length)
    return Rates(round(peak), round(average))


def _head(grid: Grid, version: int) -> list[str]:
    return [
        "#EXTM3U",
        f"#EXT-X-VERSION:{version}",
        f"#EXT-X-TARGETDURATION:{grid.target}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
    ]


def _stream(timeline: Timeline, rendition: Rendition, rates: Rates) -> str:
    codecs = [rendition.codec, *([sound.CODEC] if timeline.audio else [])]
    return f"{_described(rendition, rates, codecs)},FRAME-RATE={float(timeline.grid.fps):.3f}"


def _described(rendition: Rendition, rates: Rates, codecs: Sequence[str]) -> str:
    return (
        f'BANDWIDTH={rates.peak},AVERAGE-BANDWIDTH={rates.average},CODECS="{",".join(codecs)}",'
        f"RESOLUTION={rendition.width}x{rendition.height}"
    )


def _capped(timeline: Timeline, rendition: Rendition) -> Rates:
    peak = round((rendition.cap + (sound.BITRATE if timeline.audio else 0)) * _MUXING)
    return Rates(peak, peak // 2)


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
