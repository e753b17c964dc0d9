"""What is said of a source whose picture does not come out as long as it should."""

from __future__ import annotations

from transcode.errors import MediaError
from transcode.presentation import Presentation
from transcode.probe.ffprobe import format_duration


def check_frames(
    actual: int, expected: int, presentation: Presentation, first_segment: int, stderr_tail: str = ""
) -> None:
    """Raise MediaError when frames are missing from a segment on; hopeless when there are none at all."""
    if actual == expected:
        return
    if actual == 0:
        at = format_duration(float(presentation.grid.segment_start(first_segment)))
        raise MediaError(
            f"The picture of this film is damaged: nothing can be decoded at {at}.",
            permanent=True,
            stderr_tail=stderr_tail,
        )
    raise MediaError(f"The encoder made {actual} of {expected} frames.", stderr_tail=stderr_tail)
