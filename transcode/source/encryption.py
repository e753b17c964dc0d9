"""Films that only the devices of a shop or a broadcaster can decode: what ffmpeg makes of them is garbage."""

from __future__ import annotations

import os
import re
from pathlib import Path

from transcode.source import asf, packets
from transcode.source.description import Source
from transcode.source.looking import refused

_LOOK = 1024**2  # bytes
_ENCRYPTED = "This film is encrypted, so it cannot be played here."
_MOST = 0.5  # of packets; tables and some beginnings are never encrypted

# ISO/IEC 14496-12, 8.12: a protected sample entry holds this box, whose first one tells the original format. Shops
# had it before the standard.
_PROTECTED = b"sinf\x00\x00\x00\x0cfrma"
# ISO/IEC 13818-1, 2.4.3: packets of a transport stream have their scrambling control in two bits of the fourth byte.
_CONTROL = 0xC0
# The same of a PES packet of sound or picture, in the byte behind its length.
_PACK, _PES, _PES_CONTROL = b"\x00\x00\x01\xba", re.compile(rb"(?s)\x00\x00\x01[\xbd\xc0-\xef]..([\x80-\xbf])"), 0x30
# Of Matroska and WebM, as ffprobe has it.
_KEYS = "Encryption initialization data"


def refuse_encrypted(path: Path, movie: bytes) -> None:
    """Raise a hopeless MediaError for an MP4, ASF, transport or program stream that is encrypted.

    `movie`: the index of an MP4, see `boxes.movie_box`.
    """
    with path.open("rb") as file:
        beginning = file.read(_LOOK)
        if asf.is_asf(beginning):
            found = asf.is_protected(beginning)
        elif beginning.startswith(_PACK):
            file.seek(os.fstat(file.fileno()).st_size // 2)
            found = _is_most(_PES.findall(beginning + file.read(_LOOK)), _PES_CONTROL)
        elif controls := _controls(beginning):
            found = _is_most([bytes([control]) for control in controls], _CONTROL)
        else:
            found = _PROTECTED in movie
    if found:
        raise refused(_ENCRYPTED)


def check_keys(source: Source) -> None:
    """The same for what ffprobe tells of it."""
    if any(side.get("side_data_type") == _KEYS for one in source.streams for side in one.get("side_data_list", [])):
        raise refused(_ENCRYPTED)


def _is_most(controls: list[bytes], mask: int) -> bool:
    return sum(bool(control[0] & mask) for control in controls) > _MOST * len(controls)


def _controls(data: bytes) -> bytes:
    """The fourth byte of every packet of a transport stream; nothing when it is none."""
    for size in packets.SIZES:
        if (at := packets.beginning(data, size)) is not None:
            return data[at + 3 :: size]
    return b""
