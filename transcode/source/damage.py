"""How much of a file can be read, where its container has no index: ffmpeg takes what there is for the whole.

Recordings that simply end, in the middle of a packet, are ordinary; damage is what is there and makes no sense.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from transcode.source import packets
from transcode.source.boxes import boxes
from transcode.source.description import Source
from transcode.source.looking import clock, refused

_SAMPLES = 200
_CONTAINER = 0.25
_MUCH = 0.5  # of a file; with more than that damaged it is not the film any more
_LITTLE = 0.01

# Containers whose headers say how long the film is.
_WITH_LENGTH = ("flv", "asf")
_TOLERANCE, _PART = 2.0, 0.01  # seconds, share: headers are rounded, and count streams that are left out
# A film in which pictures are this much rarer than at its beginning, and that lasts this much longer (seconds) for it.
_WILD, _LONG = 10, 600

# Of program streams and Ogg, something that comes at least as often as in a window.
_WINDOW = 66 * 1024
_MARKS = {
    # ISO/IEC 13818-1, table 2-22: a pack, private stream 1, padding, private stream 2, sound or picture
    b"\x00\x00\x01\xba": re.compile(rb"\x00\x00\x01[\xba\xbd-\xef]"),
    b"OggS": re.compile(rb"OggS"),
}


def garbage(path: Path) -> float:
    """The share of a transport, program or Ogg stream that is none, by samples; 0 for other files."""
    with path.open("rb") as file:
        beginning = file.read(_WINDOW)
        if packet := next((size for size in packets.SIZES if _in_step(beginning, size)), 0):
            return _sampled(file, (packets.RUN + 1) * packet, lambda data: _in_step(data, packet))
        if mark := _MARKS.get(beginning[:4]):
            return _sampled(file, _WINDOW, lambda data: mark.search(data) is not None)
    return 0.0


def behind_boxes(path: Path) -> float:
    """The share of an MP4 that lies behind its last box (ISO/IEC 14496-12, 4.2); one that is cut off counts whole."""
    end = 0
    with path.open("rb") as file:
        for box in boxes(file):
            end = box.place + box.size
    return max(0.0, 1 - end / path.stat().st_size)


def not_copied(source: Path, copy: Path) -> float:
    """The share of a file that is not in the exact copy of its streams; a quarter may be the container's own."""
    share = 1 - copy.stat().st_size / source.stat().st_size
    return share if share > _CONTAINER else 0.0


def check_length(source: Source, copy: Source, pictures: int) -> None:
    """Raise a hopeless MediaError when what was copied is much shorter than the header says, or its times are wild.

    Transport and program streams have no header that says anything.
    """
    length, claimed = copy.end - copy.start, source.length if source.of(*_WITH_LENGTH) else 0.0
    if length < claimed - max(_TOLERANCE, claimed * _PART):
        raise refused(f"This film is incomplete: it should be {clock(claimed)} long, and ends at {clock(length)}.")
    if source.rate and length > _WILD * pictures / source.rate + _LONG:
        raise refused(f"This film is damaged: its times run over {clock(length)}.")


def judged(share: float) -> str:
    """What is to be said of a film of which so much cannot be read; "" for a trifle. Raises a hopeless MediaError."""
    if share > _MUCH:
        rest = round(100 * (1 - share))
        much = f"only about {rest} %" if rest >= 1 else "hardly anything"
        raise refused(f"This film is damaged: {much} of the file can be read.")
    if share < _LITTLE:
        return ""
    return f"About {round(100 * share)} % of the file cannot be read; what can be read was taken in."


def _in_step(data: bytes, packet: int) -> bool:
    return packets.beginning(data, packet) is not None


def _sampled(file: BinaryIO, window: int, is_right: Callable[[bytes], bool]) -> float:
    """The share of windows, spread evenly over a file, that are not right."""
    last = max(0, os.fstat(file.fileno()).st_size - window)
    wrong = 0
    for number in range(_SAMPLES):
        file.seek(last * number // (_SAMPLES - 1))
        wrong += not is_right(file.read(window))
    return wrong / _SAMPLES
