"""MPEG transport streams (ISO/IEC 13818-1, 2.4.3): where packets begin, and where the pictures of a segment do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PACKET_BYTES = 188
PACKET_SIZES = (PACKET_BYTES, 192, 204)  # bytes: plain, of Blu-ray discs and cameras, with error correction
MIN_CONSECUTIVE_PACKETS = 5  # sync bytes at this distance in a row do not occur by chance
_SYNC_BYTE = 0x47
_VIDEO_STREAM_IDS = range(0xE0, 0xF0)  # stream_id of PES packets (table 2-22)


def find_first_packet(data: bytes, packet_size: int) -> int | None:
    """Return the offset of the first of several consecutive packets of this size, or None if there are none."""
    sync_bytes = bytes([_SYNC_BYTE]) * MIN_CONSECUTIVE_PACKETS
    span = MIN_CONSECUTIVE_PACKETS * packet_size
    offsets = range(min(packet_size, len(data)))
    return next((offset for offset in offsets if data[offset : offset + span : packet_size] == sync_bytes), None)


def first_picture_size(segment: Path) -> int:
    """Return the number of bytes from the beginning of a segment to the end of its first picture.

    Raises ValueError if the file is not a transport stream with a picture.
    """
    offsets = _picture_offsets(segment)
    if next(offsets, None) is None:
        raise ValueError(f"no picture: {segment.name}")
    return next(offsets, segment.stat().st_size)


def count_pictures(segment: Path) -> int:
    """Return how many pictures a segment holds. Raises ValueError if it is not a transport stream."""
    return sum(1 for _ in _picture_offsets(segment))


def _picture_offsets(segment: Path) -> Iterator[int]:
    """Yield the byte offsets of the packets with which the pictures of the first video stream begin."""
    video_pid, offset = None, 0
    with segment.open("rb") as file:
        while len(packet := file.read(PACKET_BYTES)) == PACKET_BYTES:
            if packet[0] != _SYNC_BYTE:
                raise ValueError(f"not a transport stream: {segment.name}")
            if _begins_picture(packet) and video_pid in (None, _pid(packet)):
                video_pid = _pid(packet)
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
