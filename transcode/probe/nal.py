"""The first picture in a sample of H.264 or HEVC as MP4 and Matroska hold it: NAL units behind their lengths."""

from __future__ import annotations

from collections.abc import Iterator

from transcode.probe.h264 import RECOVERY_POINT, message

_LENGTH_SIZE = 4  # bytes before each NAL unit; nobody writes fewer
# ITU-T H.264, tables 7-1, 7-6 and D.1.8.
_H264_SLICES, _H264_IDR, _H264_SEI = range(1, 6), 5, 6
_H264_INTRA_SLICES = (2, 4, 7, 9)
# ITU-T H.265, table 7-1: coded pictures, and those among them that decoding can begin with.
_HEVC_PICTURES, _HEVC_RANDOM_ACCESS = range(32), range(16, 24)


def is_random_access(sample: bytes, size: int, codec: str) -> bool | None:
    """Return whether decoding can begin with this picture; None when the bytes make no sense.

    `sample`: the beginning of a picture of `size` bytes. `codec`: "h264" or "hevc". Gradual refreshes count:
    `refresh.frames_until_whole` tells how long they take.
    """
    for unit in nal_units(sample, size):
        answer = _h264(unit) if codec == "h264" else _hevc(unit)
        if answer is not None:
            return answer
    return None


def nal_units(sample: bytes, size: int) -> Iterator[bytes]:
    """Yield the units, the last one as far as it is there; nothing more once a length makes no sense."""
    place = 0
    while place + _LENGTH_SIZE < len(sample):
        length = int.from_bytes(sample[place : place + _LENGTH_SIZE], "big")
        unit = sample[place + _LENGTH_SIZE : place + _LENGTH_SIZE + length]
        if not unit or unit[0] & 0x80 or place + _LENGTH_SIZE + length > size:  # forbidden_zero_bit
            return
        yield unit
        place += _LENGTH_SIZE + length


def _h264(unit: bytes) -> bool | None:
    kind = unit[0] & 0x1F
    if kind == _H264_IDR:
        return True
    if kind == _H264_SEI:
        return True if message(unit[1:], RECOVERY_POINT) else None
    if kind not in _H264_SLICES:
        return None
    # The slice header begins with first_mb_in_slice and slice_type (7.3.3).
    return _exp_golomb(unit[1:12], 2)[1] in _H264_INTRA_SLICES


def _hevc(unit: bytes) -> bool | None:
    kind = unit[0] >> 1
    return kind in _HEVC_RANDOM_ACCESS if kind in _HEVC_PICTURES else None


def _exp_golomb(data: bytes, count: int) -> list[int]:
    """Return the first numbers in Exp-Golomb codes (9.1); -1 for those behind the end."""
    bits, numbers = "".join(f"{byte:08b}" for byte in data), []
    for _ in range(count):
        zeros = len(bits) - len(bits.lstrip("0"))
        code = bits[zeros : 2 * zeros + 1]
        numbers.append(int(code, 2) - 1 if len(code) == zeros + 1 else -1)
        bits = bits[2 * zeros + 1 :]
    return numbers
