"""How much of a file can be read, where its container has no index: ffmpeg takes what there is for the whole.

Recordings that simply end, in the middle of a packet, are ordinary; damage is what is there and makes no sense.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from transcode.probe import mpegts
from transcode.probe.ffprobe import permanent_error
from transcode.probe.mp4 import iterate_boxes
from transcode.probe.source import Source
from transcode.timestamps import format_duration

_SAMPLE_COUNT = 200
_MAX_CONTAINER_SHARE = 0.25
_MAX_DAMAGED_SHARE = 0.5  # of a file; with more than that damaged it is not the film any more
_MIN_REPORTED_SHARE = 0.01

# Containers whose headers say how long the film is.
_FORMATS_WITH_DURATION = ("flv", "asf")
_DURATION_TOLERANCE_S, _DURATION_TOLERANCE_SHARE = (
    2.0,
    0.01,
)  # seconds, share: headers are rounded, and count streams that are left out
# A film in which pictures are this much rarer than at its beginning, and that lasts this much longer (seconds) for it.
_MAX_FRAME_GAP_FACTOR, _MAX_EXCESS_DURATION_S = 10, 600

# Of program streams and Ogg, something that comes at least as often as in a window.
_WINDOW_BYTES = 66 * 1024
_SYNC_PATTERNS = {
    # ISO/IEC 13818-1, table 2-22: a pack, private stream 1, padding, private stream 2, sound or picture
    b"\x00\x00\x01\xba": re.compile(rb"\x00\x00\x01[\xba\xbd-\xef]"),
    b"OggS": re.compile(rb"OggS"),
}


def measure_garbage(path: Path) -> float:
    """The share of a transport, program or Ogg stream that is none, by samples; 0 for other files."""
    with path.open("rb") as file:
        beginning = file.read(_WINDOW_BYTES)
        if packet := next((size for size in mpegts.PACKET_SIZES if _is_in_sync(beginning, size)), 0):
            return _sample_bad_share(
                file, (mpegts.MIN_CONSECUTIVE_PACKETS + 1) * packet, lambda data: _is_in_sync(data, packet)
            )
        if mark := _SYNC_PATTERNS.get(beginning[:4]):
            return _sample_bad_share(file, _WINDOW_BYTES, lambda data: mark.search(data) is not None)
    return 0.0


def measure_trailing_garbage(path: Path) -> float:
    """The share of an MP4 that lies behind its last box (ISO/IEC 14496-12, 4.2); one that is cut off counts whole."""
    end = 0
    with path.open("rb") as file:
        for box in iterate_boxes(file):
            end = box.offset + box.size
    return max(0.0, 1 - end / path.stat().st_size)


def measure_lost_share(source: Path, copy: Path) -> float:
    """The share of a file that is not in the exact copy of its streams; a quarter may be the container's own."""
    share = 1 - copy.stat().st_size / source.stat().st_size
    return share if share > _MAX_CONTAINER_SHARE else 0.0


def check_duration(source: Source, copy: Source, frame_count: int) -> None:
    """Raise a hopeless MediaError when what was copied is much shorter than the header says, or its times are wild.

    Transport and program streams have no header that says anything.
    """
    length, claimed = (
        copy.end - copy.start,
        source.declared_duration if source.is_format(*_FORMATS_WITH_DURATION) else 0.0,
    )
    if length < claimed - max(_DURATION_TOLERANCE_S, claimed * _DURATION_TOLERANCE_SHARE):
        raise permanent_error(
            f"This film is incomplete: it should be {format_duration(claimed)} long, "
            f"and ends at {format_duration(length)}."
        )
    if source.frame_rate and length > _MAX_FRAME_GAP_FACTOR * frame_count / source.frame_rate + _MAX_EXCESS_DURATION_S:
        raise permanent_error(f"This film is damaged: its times run over {format_duration(length)}.")


def assess_damage(share: float) -> str:
    """What is to be said of a film of which so much cannot be read; "" for a trifle. Raises a hopeless MediaError."""
    if share > _MAX_DAMAGED_SHARE:
        rest = round(100 * (1 - share))
        much = f"only about {rest} %" if rest >= 1 else "hardly anything"
        raise permanent_error(f"This film is damaged: {much} of the file can be read.")
    if share < _MIN_REPORTED_SHARE:
        return ""
    return f"About {round(100 * share)} % of the file cannot be read; what can be read was taken in."


def _is_in_sync(data: bytes, packet_size: int) -> bool:
    return mpegts.find_first_packet(data, packet_size) is not None


def _sample_bad_share(file: BinaryIO, window: int, is_valid: Callable[[bytes], bool]) -> float:
    """The share of windows, spread evenly over a file, that are not right."""
    last = max(0, os.fstat(file.fileno()).st_size - window)
    wrong = 0
    for number in range(_SAMPLE_COUNT):
        file.seek(last * number // (_SAMPLE_COUNT - 1))
        wrong += not is_valid(file.read(window))
    return wrong / _SAMPLE_COUNT
