"""NAL units: which pictures decoding can begin with, and how long an intra refresh takes to complete one."""

from __future__ import annotations

import pytest

from transcode.probe.nal import count_recovery_frames, is_random_access


def unit(header: int, *content: int) -> bytes:
    """Return a NAL unit preceded by its length."""
    return (1 + len(content)).to_bytes(4, "big") + bytes([header, *content])


RECOVERY = (6, 2, 0x04, 0xF1)  # 38 frames, as x264 writes it
USER_DATA = (5, 0xFF, 3, *(1 for _ in range(258)))


@pytest.mark.parametrize(
    ("sample", "frames"),
    [
        (unit(6, *RECOVERY, 0x80) + unit(1, 1), 38),
        (unit(9, 0xF0) + unit(7, 1, 2, 3) + unit(6, *USER_DATA, *RECOVERY, 0x80), 38),
        (unit(6, *USER_DATA, 0x80) + unit(6, *RECOVERY, 0x80), 38),
        (unit(6, 6, 1, 0x84, 0x80) + unit(1, 1), 0),  # an open group of pictures
        (unit(5, 1) + unit(6, *RECOVERY), 0),
        (unit(6, *RECOVERY)[:7], 0),
        (b"", 0),
        (bytes(4096), 0),
    ],
    ids=["a_wave", "behind_others", "in_a_second_unit", "open", "a_key_frame", "cut_off", "nothing", "zeros"],
)
def test_how_many_frames_pass_until_the_picture_is_whole(sample: bytes, frames: int) -> None:
    assert count_recovery_frames(sample) == frames


@pytest.mark.parametrize(
    ("codec", "sample", "answer"),
    [
        ("h264", unit(0x65, 0x88), True),
        ("h264", unit(6, 5, 1, 0, 0x80) + unit(0x65, 0x88), True),
        ("h264", unit(6, 6, 1, 0x84, 0x80) + unit(0x41, 0x9A), True),  # a recovery point
        ("h264", unit(0x41, 0x88), True),  # intra slices in a picture of an open group of pictures
        ("h264", unit(0x41, 0x9A), False),
        ("h264", unit(7, 1) + unit(8, 1), None),
        ("h264", bytes(64), None),
        ("h264", b"\xff" * 64, None),
        ("hevc", unit(0x26, 1, 0), True),
        ("hevc", unit(0x2A, 1, 0), True),
        ("hevc", unit(0x02, 1, 0), False),
        ("hevc", unit(0x40, 1, 0) + unit(0x26, 1), True),
        ("hevc", b"", None),
    ],
)
def test_the_first_unit_of_a_picture_tells_whether_it_is_a_key_frame(
    codec: str, sample: bytes, answer: bool | None
) -> None:
    assert is_random_access(sample, len(sample), codec) is answer


def test_a_unit_that_is_longer_than_its_picture_makes_no_sense() -> None:
    assert is_random_access(unit(0x65, *bytes(100)), 50, "h264") is None
