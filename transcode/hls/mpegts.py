"""Just enough of MPEG transport streams (ISO/IEC 13818-1) to find the pictures of a segment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PACKET_BYTES = 188  # bytes
_SYNC_BYTE = 0x47
_VIDEO_STREAM_IDS = range(0xE0, 0xF0)  # PES stream ids


def first_picture_size(segment: Path) -> int:
    """Bytes from the beginning of a segment to the end of its first picture.

    Raises ValueError when this is not a transport stream with a picture.
    """
    begins = _picture_offsets(segment)
    if next(begins, None) is None:
        raise ValueError(f"no picture: {segment.name}")
    return next(begins, segment.stat().st_size)


def count_pictures(segment: Path) -> int:
    """How many pictures a segment holds. Raises ValueError when this is not a transport stream."""
    return sum(1 for _ in _picture_offsets(segment))


def _picture_offsets(segment: Path) -> Iterator[int]:
    """Where pictures begin, in bytes."""
    pid, place = None, 0
    with segment.open("rb") as file:
        while len(packet := file.read(PACKET_BYTES)) == PACKET_BYTES:
            if packet[0] != _SYNC_BYTE:
                raise ValueError(f"not a transport stream: {segment.name}")
            if _begins_picture(packet) and pid in (None, _pid(packet)):
                pid = _pid(packet)
                yield place
            place += PACKET_BYTES


def _pid(packet: bytes) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


def _begins_picture(packet: bytes) -> bool:
    """Whether a PES packet of video begins here."""
    if not packet[1] & 0x40 or not packet[3] & 0x10:  # payload_unit_start_indicator, payload present
        return False
    payload = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    start = packet[payload : payload + 4]
    return len(start) == 4 and start[:3] == b"\x00\x00\x01" and start[3] in _VIDEO_STREAM_IDS
