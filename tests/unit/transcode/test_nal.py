"""How many frames of an H.264 stream pass until an intra refresh has completed the picture."""

from __future__ import annotations

import pytest

from transcode.probe.h264 import count_recovery_frames


def unit(kind: int, *content: int) -> bytes:
    """A NAL unit behind its length."""
    return (1 + len(content)).to_bytes(4, "big") + bytes([kind, *content])


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
