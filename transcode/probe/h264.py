"""Intra refresh: H.264 without key frames, whose picture becomes whole bit by bit from a recovery point on.

ffmpeg takes recovery points for key frames, and shows nothing until the picture is whole; whoever begins in the middle
has to begin so much earlier.
"""

from __future__ import annotations

_NAL_LENGTH_BYTES = 4  # bytes before each NAL unit; nobody writes fewer
_SLICE_TYPES, _SEI_TYPE, RECOVERY_POINT = range(1, 6), 6, 6  # ITU-T H.264, tables 7-1 and D.1.8


def count_recovery_frames(sample: bytes) -> int:
    """From the beginning of a sample as MP4 and Matroska hold it, in frames that others refer to; 0 when it is whole
    at once.
    """
    place = 0
    while place + _NAL_LENGTH_BYTES < len(sample):
        length = int.from_bytes(sample[place : place + _NAL_LENGTH_BYTES], "big")
        unit = sample[place + _NAL_LENGTH_BYTES : place + _NAL_LENGTH_BYTES + length]
        kind = unit[0] & 0x1F if unit else 0
        if kind in _SLICE_TYPES:
            return 0
        if kind == _SEI_TYPE and (payload := message(unit[1:], RECOVERY_POINT)):
            return _read_exp_golomb(payload)
        place += _NAL_LENGTH_BYTES + length
    return 0


def message(messages: bytes, wanted: int) -> bytes:
    """The payload of a message of supplemental enhancement information (7.3.2.3.1)."""
    place = 0
    while place + 2 <= len(messages):
        kind, place = _read_sei_value(messages, place)
        size, place = _read_sei_value(messages, place)
        if kind == wanted:
            return messages[place : place + size]
        place += size
    return b""


def _read_sei_value(data: bytes, offset: int) -> tuple[int, int]:
    """A number in bytes of which all but the last are 255, and where it ends."""
    total = 0
    while offset < len(data) and data[offset] == 0xFF:
        total, offset = total + 0xFF, offset + 1
    return total + (data[offset] if offset < len(data) else 0), offset + 1


def _read_exp_golomb(payload: bytes) -> int:
    """An Exp-Golomb code (9.1)."""
    bits = "".join(f"{byte:08b}" for byte in payload)
    zeros = len(bits) - len(bits.lstrip("0"))
    code = bits[zeros : 2 * zeros + 1]
    return int(code, 2) - 1 if code else 0
