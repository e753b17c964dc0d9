"""Check that an encoder produced as many frames as the grid demands."""

from __future__ import annotations

from transcode.errors import MediaError
from transcode.presentation import Presentation
from transcode.timestamps import format_duration


def check_frames(
    actual: int, expected: int, presentation: Presentation, first_segment: int, stderr_tail: str = ""
) -> None:
    """Raise MediaError if the frame count is wrong; a permanent one if no frame could be decoded.

    `first_segment` is the number of the segment at which the encoded part begins.
    """
    if actual == expected:
        return
    if actual == 0:
        position = format_duration(float(presentation.grid.segment_start(first_segment)))
        raise MediaError(
            f"This video is damaged: nothing can be decoded at {position}.",
            permanent=True,
            stderr_tail=stderr_tail,
        )
    raise MediaError(f"The encoder produced {actual} of {expected} frames.", stderr_tail=stderr_tail)
