"""Just enough of MP4 and QuickTime (ISO/IEC 14496-12) for what ffprobe does not tell."""

from __future__ import annotations

import os
import re
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_BOX_HEADER_BYTES = 16  # bytes that hold a box's size and kind, whichever form the size has
_MAX_INDEX_BYTES = 64 * 1024**2  # bytes of an index that is looked at
_MEDIA_HEADER, _COMPOSITION_OFFSETS = b"mdhd", re.compile(rb"(?s)ctts.{4}(.{4})")


class Box(NamedTuple):
    """On the outermost level (4.2): its place and size in bytes; `head`: its first 16 bytes."""

    kind: bytes
    offset: int
    size: int
    header: bytes


def iterate_boxes(file: BinaryIO) -> Iterator[Box]:
    """Until the end, or what is no box; a head that is cut off counts as one."""
    place, end = 0, os.fstat(file.fileno()).st_size
    while place < end:
        file.seek(place)
        head = file.read(_BOX_HEADER_BYTES)
        size = int.from_bytes(head[:4], "big")
        size = int.from_bytes(head[8:], "big") if size == 1 else size or end - place
        if len(head) == _BOX_HEADER_BYTES and (not head[4:8].isalnum() or size < 8):
            return
        yield Box(head[4:8], place, max(8, size), head)
        place += max(8, size)


def read_moov(path: Path) -> bytes:
    """The box `moov` (8.2.1), which is the index; nothing when there is none."""
    with path.open("rb") as file:
        movie = next((box for box in iterate_boxes(file) if box.kind == b"moov"), None)
        return movie.header + file.read(min(movie.size, _MAX_INDEX_BYTES)) if movie else b""


def max_composition_delay(moov: bytes) -> float:
    """Seconds from when a frame is decoded until it is shown (8.6.1.3), of the frame for which that is longest."""
    return max((_composition_delay(moov, found) for found in _COMPOSITION_OFFSETS.finditer(moov)), default=0.0)


def _composition_delay(moov: bytes, match: re.Match[bytes]) -> float:
    header = moov.rfind(_MEDIA_HEADER, 0, match.start()) + len(_MEDIA_HEADER)
    place = header + (20 if moov[header] else 12)  # its version says how long its times are
    scale = int.from_bytes(moov[place : place + 4], "big")
    count = min(int.from_bytes(match[1], "big"), (len(moov) - match.end()) // 8)
    pairs = array("i", moov[match.end() : match.end() + 8 * count])  # how many frames, and their offset
    if sys.byteorder == "little":
        pairs.byteswap()
    offsets = pairs[1::2]
    return (max(offsets) - min(0, min(offsets))) / scale if scale and offsets else 0.0
