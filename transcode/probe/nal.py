"""NAL units of H.264 and HEVC in samples as MP4 and Matroska hold them, each unit preceded by its length.

They tell whether decoding can begin with a picture, and how long an intra refresh takes: H.264 without key frames,
whose picture is completed piece by piece from a recovery point on. ffmpeg treats recovery points as key frames and
outputs nothing until the picture is complete, so decoding has to begin that much earlier.
"""

from __future__ import annotations

from collections.abc import Iterator

_LENGTH_BYTES = 4  # in front of each NAL unit; shorter lengths are not used in practice
# ITU-T H.264, tables 7-1 and 7-6, and D.1.8.
_H264_SLICES, _H264_IDR, _H264_SEI = range(1, 6), 5, 6
_H264_INTRA_SLICE_TYPES = (2, 4, 7, 9)
_RECOVERY_POINT = 6
# ITU-T H.265, table 7-1: coded pictures, and those among them that decoding can begin with.
_HEVC_PICTURES, _HEVC_RANDOM_ACCESS = range(32), range(16, 24)


def is_random_access(sample: bytes, size: int, codec: str) -> bool | None:
    """Return whether decoding can begin with this picture, or None if the bytes make no sense.

    `sample`: the beginning of a picture of `size` bytes. `codec`: "h264" or "hevc". Recovery points count:
    `count_recovery_frames` returns how long they take.
    """
    for unit, end in _iterate_units(sample):
        if not unit or unit[0] & 0x80 or end > size:  # forbidden_zero_bit
            return None
        answer = _is_h264_random_access(unit) if codec == "h264" else _is_hevc_random_access(unit)
        if answer is not None:
            return answer
    return None


def count_recovery_frames(sample: bytes) -> int:
    """Return how many reference frames pass until an H.264 picture is complete; 0 if it is complete at once.

    `sample`: the beginning of the picture.
    """
    for unit, _ in _iterate_units(sample):
        kind = unit[0] & 0x1F if unit else 0
        if kind in _H264_SLICES:
            return 0
        if kind == _H264_SEI and (payload := _sei_payload(unit[1:], _RECOVERY_POINT)):
            return max(0, _read_exp_golomb(payload, 1)[0])  # recovery_frame_cnt
    return 0


def _iterate_units(sample: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield each unit, the last one as far as it is there, and the offset of its end by its length."""
    offset = 0
    while offset + _LENGTH_BYTES < len(sample):
        start = offset + _LENGTH_BYTES
        offset = start + int.from_bytes(sample[offset:start], "big")
        yield sample[start:offset], offset


def _is_h264_random_access(unit: bytes) -> bool | None:
    """Return None for a unit that does not tell."""
    kind = unit[0] & 0x1F
    if kind == _H264_IDR:
        return True
    if kind == _H264_SEI:
        return True if _sei_payload(unit[1:], _RECOVERY_POINT) else None
    if kind not in _H264_SLICES:
        return None
    # The slice header begins with first_mb_in_slice and slice_type (7.3.3).
    return _read_exp_golomb(unit[1:12], 2)[1] in _H264_INTRA_SLICE_TYPES


def _is_hevc_random_access(unit: bytes) -> bool | None:
    """Return None for a unit that does not tell."""
    kind = unit[0] >> 1
    return kind in _HEVC_RANDOM_ACCESS if kind in _HEVC_PICTURES else None


def _sei_payload(messages: bytes, wanted_type: int) -> bytes:
    """Return the payload of a message of supplemental enhancement information (7.3.2.3.1), or b"" without one."""
    offset = 0
    while offset + 2 <= len(messages):
        payload_type, offset = _read_sei_number(messages, offset)
        size, offset = _read_sei_number(messages, offset)
        if payload_type == wanted_type:
            return messages[offset : offset + size]
        offset += size
    return b""


def _read_sei_number(data: bytes, offset: int) -> tuple[int, int]:
    """Return a number that is coded in bytes of which all but the last are 255, and the offset of its end."""
    total = 0
    while offset < len(data) and data[offset] == 0xFF:
        total, offset = total + 0xFF, offset + 1
    return total + (data[offset] if offset < len(data) else 0), offset + 1


def _read_exp_golomb(data: bytes, count: int) -> list[int]:
    """Return the first numbers in Exp-Golomb codes (9.1); -1 for codes that end after the data."""
    bits, numbers = "".join(f"{byte:08b}" for byte in data), []
    for _ in range(count):
        zeros = len(bits) - len(bits.lstrip("0"))
        code = bits[zeros : 2 * zeros + 1]
        numbers.append(int(code, 2) - 1 if len(code) == zeros + 1 else -1)
        bits = bits[2 * zeros + 1 :]
    return numbers
