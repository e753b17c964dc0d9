"""Intra refresh: H.264 without key frames, whose picture becomes whole bit by bit from a recovery point on.

ffmpeg takes recovery points for key frames, and shows nothing until the picture is whole; whoever begins in the middle
has to begin so much earlier.
"""

from __future__ import annotations

_NAL_LENGTH = 4  # bytes before each NAL unit; nobody writes fewer
_SLICES, _SEI, RECOVERY_POINT = range(1, 6), 6, 6  # ITU-T H.264, tables 7-1 and D.1.8


def frames_until_whole(sample: bytes) -> int:
    """From the beginning of a sample as MP4 and Matroska hold it, in frames that others refer to; 0 when it is whole
    at once.
    """
    place = 0
    while place + _NAL_LENGTH < len(sample):
        length = int.from_bytes(sample[place : place + _NAL_LENGTH], "big")
        unit = sample[place + _NAL_LENGTH : place + _NAL_LENGTH + length]
        kind = unit[0] & 0x1F if unit else 0
        if kind in _SLICES:
            return 0
        if kind == _SEI and (payload := message(unit[1:], RECOVERY_POINT)):
            return _first_number(payload)
        place += _NAL_LENGTH + length
    return 0


def message(messages: bytes, wanted: int) -> bytes:
    """The payload of a message of supplemental enhancement information (7.3.2.3.1)."""
    place = 0
    while place + 2 <= len(messages):
        kind, place = _sum(messages, place)
        size, place = _sum(messages, place)
        if kind == wanted:
            return messages[place : place + size]
        place += size
    return b""


def _sum(data: bytes, place: int) -> tuple[int, int]:
    """A number in bytes of which all but the last are 255, and where it ends."""
    total = 0
    while place < len(data) and data[place] == 0xFF:
        total, place = total + 0xFF, place + 1
    return total + (data[place] if place < len(data) else 0), place + 1


def _first_number(payload: bytes) -> int:
    """An Exp-Golomb code (9.1)."""
    bits = "".join(f"{byte:08b}" for byte in payload)
    zeros = len(bits) - len(bits.lstrip("0"))
    code = bits[zeros : 2 * zeros + 1]
    return int(code, 2) - 1 if code else 0
