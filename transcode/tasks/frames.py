"""What is said of a source whose picture does not come out as long as it should."""

from __future__ import annotations

from transcode.errors import MediaError
from transcode.source.looking import clock
from transcode.timeline import Timeline


def check_frames(made: int, wanted: int, timeline: Timeline, segment: int, last_words: str = "") -> None:
    """Raise MediaError when frames are missing from a segment on; hopeless when there are none at all."""
    if made == wanted:
        return
    if made == 0:
        at = clock(float(timeline.grid.start(segment)))
        raise MediaError(
            f"The picture of this film is damaged: nothing can be decoded at {at}.",
            hopeless=True,
            last_words=last_words,
        )
    raise MediaError(f"The encoder made {made} of {wanted} frames.", last_words=last_words)
