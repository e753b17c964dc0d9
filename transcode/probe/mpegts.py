"""Transport streams (ISO/IEC 13818-1, 2.4.3): where their packets begin."""

from __future__ import annotations

PACKET_SIZES = (188, 192, 204)  # bytes: of plain ones, of Blu-rays and cameras, of those with error correction
MIN_CONSECUTIVE_PACKETS = 5  # packets in a row that are none by chance
_SYNC_BYTE = b"G"


def find_first_packet(data: bytes, packet_size: int) -> int | None:
    """The place of the first of several packets of this size in a row; None when there are none."""
    starts = range(min(packet_size, len(data)))
    return next(
        (
            at
            for at in starts
            if data[at : at + MIN_CONSECUTIVE_PACKETS * packet_size : packet_size]
            == _SYNC_BYTE * MIN_CONSECUTIVE_PACKETS
        ),
        None,
    )
