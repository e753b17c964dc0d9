"""The parts of MP4 and QuickTime files (ISO/IEC 14496-12) that ffprobe does not report."""

from __future__ import annotations

import os
import re
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_BOX_HEADER_BYTES = 16  # hold the size and the type of a box in either form
_MIN_BOX_BYTES = 8
_MAX_INDEX_BYTES = 64 * 1024**2  # more of an index is not read
_MEDIA_HEADER, _COMPOSITION_OFFSETS = b"mdhd", re.compile(rb"(?s)ctts.{4}(.{4})")


class Box(NamedTuple):
    """A box of the outermost level (4.2): offset and size in bytes; `header`: its first 16 bytes."""

    kind: bytes
    offset: int
    size: int
    header: bytes


def iterate_boxes(file: BinaryIO) -> Iterator[Box]:
    """Yield boxes until the end of the file, or until bytes that are no box; a truncated header counts as a box."""
    offset, end = 0, os.fstat(file.fileno()).st_size
    while offset < end:
        file.seek(offset)
        header = file.read(_BOX_HEADER_BYTES)
        size = int.from_bytes(header[:4], "big")
        size = int.from_bytes(header[8:], "big") if size == 1 else size or end - offset
        if len(header) == _BOX_HEADER_BYTES and (not header[4:8].isalnum() or size < _MIN_BOX_BYTES):
            return
        yield Box(header[4:8], offset, max(_MIN_BOX_BYTES, size), header)
        offset += max(_MIN_BOX_BYTES, size)


def read_moov(path: Path) -> bytes:
    """Return the box `moov` (8.2.1), which is the index, or b"" if there is none."""
    with path.open("rb") as file:
        moov = next((box for box in iterate_boxes(file) if box.kind == b"moov"), None)
        return moov.header + file.read(min(moov.size, _MAX_INDEX_BYTES)) if moov else b""


def max_composition_delay(moov: bytes) -> float:
    """Return the longest time in seconds between decoding and presentation of a frame (8.6.1.3)."""
    return max((_composition_delay(moov, match) for match in _COMPOSITION_OFFSETS.finditer(moov)), default=0.0)


def _composition_delay(moov: bytes, match: re.Match[bytes]) -> float:
    """Return the longest delay that one table of composition offsets holds."""
    header = moov.rfind(_MEDIA_HEADER, 0, match.start()) + len(_MEDIA_HEADER)
    start = header + (20 if moov[header] else 12)  # the version of the box determines the size of its times
    timescale = int.from_bytes(moov[start : start + 4], "big")
    count = min(int.from_bytes(match[1], "big"), (len(moov) - match.end()) // 8)
    pairs = array("i", moov[match.end() : match.end() + 8 * count])  # number of frames, and their offset
    if sys.byteorder == "little":
        pairs.byteswap()
    offsets = pairs[1::2]
    return (max(offsets) - min(0, min(offsets))) / timescale if timescale and offsets else 0.0
