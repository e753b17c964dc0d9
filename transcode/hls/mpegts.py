"""Find the pictures in a segment: the parts of MPEG transport streams (ISO/IEC 13818-1) needed for that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PACKET_BYTES = 188
_SYNC_BYTE = 0x47
_VIDEO_STREAM_IDS = range(0xE0, 0xF0)  # of PES packets (2.4.3.7)


def first_picture_size(segment: Path) -> int:
    """Return the bytes from the beginning of a segment to the end of its first picture.

    Raise ValueError if the file is not a transport stream with a picture.
    """
    offsets = _picture_offsets(segment)
    if next(offsets, None) is None:
        raise ValueError(f"no picture: {segment.name}")
    return next(offsets, segment.stat().st_size)


def count_pictures(segment: Path) -> int:
    """Return the number of pictures in a segment. Raise ValueError if the file is not a transport stream."""
    return sum(1 for _ in _picture_offsets(segment))


def _picture_offsets(segment: Path) -> Iterator[int]:
    """Yield the offset in bytes at which each picture begins."""
    pid, offset = None, 0
    with segment.open("rb") as file:
        while len(packet := file.read(PACKET_BYTES)) == PACKET_BYTES:
            if packet[0] != _SYNC_BYTE:
                raise ValueError(f"not a transport stream: {segment.name}")
            if _begins_picture(packet) and pid in (None, _pid(packet)):
                pid = _pid(packet)
                yield offset
            offset += PACKET_BYTES


def _pid(packet: bytes) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


def _begins_picture(packet: bytes) -> bool:
    """Return whether a PES packet of video begins in this transport packet."""
    if not packet[1] & 0x40 or not packet[3] & 0x10:  # payload_unit_start_indicator, payload present
        return False
    payload = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    start = packet[payload : payload + 4]
    return len(start) == 4 and start[:3] == b"\x00\x00\x01" and start[3] in _VIDEO_STREAM_IDS
