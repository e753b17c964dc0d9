"""Films that only the devices of a shop or a broadcaster can decode: what ffmpeg makes of them is garbage."""

from __future__ import annotations

import os
import re
from pathlib import Path

from transcode.probe import asf, mpegts
from transcode.probe.ffprobe import permanent_error
from transcode.probe.source import Source

_SAMPLE_BYTES = 1024**2  # bytes
_ENCRYPTED_MESSAGE = "This film is encrypted, so it cannot be played here."
_MAX_SCRAMBLED_SHARE = 0.5  # of packets; tables and some beginnings are never encrypted

# ISO/IEC 14496-12, 8.12: a protected sample entry holds this box, whose first one tells the original format. Shops
# had it before the standard.
_PROTECTED_SAMPLE_ENTRY = b"sinf\x00\x00\x00\x0cfrma"
# ISO/IEC 13818-1, 2.4.3: packets of a transport stream have their scrambling control in two bits of the fourth byte.
_TS_SCRAMBLING_MASK = 0xC0
# The same of a PES packet of sound or picture, in the byte behind its length.
_PACK_START_CODE, _PES_HEADER, _PES_SCRAMBLING_MASK = (
    b"\x00\x00\x01\xba",
    re.compile(rb"(?s)\x00\x00\x01[\xbd\xc0-\xef]..([\x80-\xbf])"),
    0x30,
)
# Of Matroska and WebM, as ffprobe has it.
_ENCRYPTION_SIDE_DATA = "Encryption initialization data"


def reject_encrypted(path: Path, moov: bytes) -> None:
    """Raise a hopeless MediaError for an MP4, ASF, transport or program stream that is encrypted.

    `movie`: the index of an MP4, see `boxes.movie_box`.
    """
    with path.open("rb") as file:
        beginning = file.read(_SAMPLE_BYTES)
        if asf.is_asf(beginning):
            found = asf.is_encrypted(beginning)
        elif beginning.startswith(_PACK_START_CODE):
            file.seek(os.fstat(file.fileno()).st_size // 2)
            found = _are_mostly_scrambled(
                _PES_HEADER.findall(beginning + file.read(_SAMPLE_BYTES)), _PES_SCRAMBLING_MASK
            )
        elif controls := _ts_control_bytes(beginning):
            found = _are_mostly_scrambled([bytes([control]) for control in controls], _TS_SCRAMBLING_MASK)
        else:
            found = _PROTECTED_SAMPLE_ENTRY in moov
    if found:
        raise permanent_error(_ENCRYPTED_MESSAGE)


def reject_encryption_keys(source: Source) -> None:
    """The same for what ffprobe tells of it."""
    if any(
        side.get("side_data_type") == _ENCRYPTION_SIDE_DATA
        for one in source.streams
        for side in one.get("side_data_list", [])
    ):
        raise permanent_error(_ENCRYPTED_MESSAGE)


def _are_mostly_scrambled(control_bytes: list[bytes], mask: int) -> bool:
    return sum(bool(control[0] & mask) for control in control_bytes) > _MAX_SCRAMBLED_SHARE * len(control_bytes)


def _ts_control_bytes(data: bytes) -> bytes:
    """The fourth byte of every packet of a transport stream; nothing when it is none."""
    for size in mpegts.PACKET_SIZES:
        if (at := mpegts.find_first_packet(data, size)) is not None:
            return data[at + 3 :: size]
    return b""
