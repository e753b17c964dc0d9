"""How much of a file is damaged, where its container has no index: ffmpeg takes what it finds for the whole.

Recordings that simply end, in the middle of a packet, are ordinary; damage is data that makes no sense.
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
_MAX_DAMAGED_SHARE = 0.5  # of a file; with more damage it is not the same video any more
_MIN_REPORTED_SHARE = 0.01

# Containers whose headers declare the duration.
_FORMATS_WITH_DURATION = ("flv", "asf")
# Headers are rounded, and count streams that are left out.
_DURATION_TOLERANCE_S, _DURATION_TOLERANCE_SHARE = 2.0, 0.01
# Timestamps are wild if pictures are this much rarer than at the beginning and the video lasts this much longer for it.
_MAX_FRAME_GAP_FACTOR, _MAX_EXCESS_DURATION_S = 10, 600

# By the beginning of a program stream or an Ogg file: a pattern that occurs at least once in every window.
_WINDOW_BYTES = 66 * 1024
_SYNC_PATTERNS = {
    # ISO/IEC 13818-1, table 2-22: a pack, private stream 1, padding, private stream 2, audio or video.
    b"\x00\x00\x01\xba": re.compile(rb"\x00\x00\x01[\xba\xbd-\xef]"),
    b"OggS": re.compile(rb"OggS"),
}


def measure_garbage(path: Path) -> float:
    """Return the share of garbage in a transport stream, program stream or Ogg file, by samples; 0 for other files."""
    with path.open("rb") as file:
        beginning = file.read(_WINDOW_BYTES)
        if packet_size := next((size for size in mpegts.PACKET_SIZES if _is_in_sync(beginning, size)), 0):
            window = (mpegts.MIN_CONSECUTIVE_PACKETS + 1) * packet_size
            return _sample_bad_share(file, window, lambda data: _is_in_sync(data, packet_size))
        if pattern := _SYNC_PATTERNS.get(beginning[:4]):
            return _sample_bad_share(file, _WINDOW_BYTES, lambda data: pattern.search(data) is not None)
    return 0.0


def measure_trailing_garbage(path: Path) -> float:
    """Return the share of an MP4 that follows its last box (ISO/IEC 14496-12, 4.2); a truncated box counts as whole."""
    end = 0
    with path.open("rb") as file:
        for box in iterate_boxes(file):
            end = box.offset + box.size
    return max(0.0, 1 - end / path.stat().st_size)


def measure_lost_share(source: Path, copy: Path) -> float:
    """Return the share of a file that is missing from the exact copy of its streams.

    Up to a quarter may be overhead of the container and counts as 0.
    """
    share = 1 - copy.stat().st_size / source.stat().st_size
    return share if share > _MAX_CONTAINER_SHARE else 0.0


def check_duration(source: Source, copy: Source, frame_count: int) -> None:
    """Raise a permanent MediaError if the copy is much shorter than the header declares, or its timestamps are wild.

    Transport and program streams have no header that declares a duration.
    """
    duration = copy.end - copy.start
    declared = source.declared_duration if source.is_format(*_FORMATS_WITH_DURATION) else 0.0
    if duration < declared - max(_DURATION_TOLERANCE_S, declared * _DURATION_TOLERANCE_SHARE):
        raise permanent_error(
            f"This video is incomplete: it should be {format_duration(declared)} long, "
            f"but ends at {format_duration(duration)}."
        )
    regular_duration = frame_count / source.frame_rate if source.frame_rate else float("inf")
    if duration > _MAX_FRAME_GAP_FACTOR * regular_duration + _MAX_EXCESS_DURATION_S:
        raise permanent_error(f"This video is damaged: its timestamps span {format_duration(duration)}.")


def assess_damage(share: float) -> str:
    """Return a warning for a video of which this share cannot be read, "" for a negligible one.

    Raises a permanent MediaError if most of it cannot be read.
    """
    if share > _MAX_DAMAGED_SHARE:
        readable_percent = round(100 * (1 - share))
        readable = f"only about {readable_percent} %" if readable_percent >= 1 else "hardly anything"
        raise permanent_error(f"This video is damaged: {readable} of the file can be read.")
    if share < _MIN_REPORTED_SHARE:
        return ""
    return f"About {round(100 * share)} % of the file cannot be read; the rest was imported."


def _is_in_sync(data: bytes, packet_size: int) -> bool:
    return mpegts.find_first_packet(data, packet_size) is not None


def _sample_bad_share(file: BinaryIO, window: int, is_valid: Callable[[bytes], bool]) -> float:
    """Return the share of invalid windows among samples that are spread evenly over a file; `window` in bytes."""
    last_start = max(0, os.fstat(file.fileno()).st_size - window)
    invalid = 0
    for number in range(_SAMPLE_COUNT):
        file.seek(last_start * number // (_SAMPLE_COUNT - 1))
        invalid += not is_valid(file.read(window))
    return invalid / _SAMPLE_COUNT
