"""Detection of encrypted videos, which only the devices of a shop or a broadcaster can decode; ffmpeg gets garbage."""

from __future__ import annotations

import os
import re
from pathlib import Path

from transcode.probe import asf, mpegts
from transcode.probe.ffprobe import permanent_error
from transcode.probe.source import Source

_SAMPLE_BYTES = 1024**2
_ENCRYPTED_MESSAGE = "This video is encrypted, so it cannot be played here."
_MAX_SCRAMBLED_SHARE = 0.5  # of packets; tables and some beginnings are never encrypted

# ISO/IEC 14496-12, 8.12: a protected sample entry holds this box, whose first child names the original format. Shops
# used it before the standard did.
_PROTECTED_SAMPLE_ENTRY = b"sinf\x00\x00\x00\x0cfrma"
# ISO/IEC 13818-1, 2.4.3: the scrambling control of a transport stream packet is in two bits of its fourth byte.
_TS_SCRAMBLING_MASK = 0xC0
# The scrambling control of a PES packet of audio or video is in the byte after its length.
_PACK_START_CODE = b"\x00\x00\x01\xba"
_PES_HEADER = re.compile(rb"(?s)\x00\x00\x01[\xbd\xc0-\xef]..([\x80-\xbf])")
_PES_SCRAMBLING_MASK = 0x30
# How ffprobe reports encryption of Matroska and WebM.
_ENCRYPTION_SIDE_DATA = "Encryption initialization data"


def reject_encrypted(path: Path, moov: bytes) -> None:
    """Raise a permanent MediaError for an encrypted MP4, ASF, transport stream or program stream.

    `moov`: the index of an MP4, see `mp4.read_moov`.
    """
    with path.open("rb") as file:
        beginning = file.read(_SAMPLE_BYTES)
        if asf.is_asf(beginning):
            is_encrypted = asf.is_encrypted(beginning)
        elif beginning.startswith(_PACK_START_CODE):
            file.seek(os.fstat(file.fileno()).st_size // 2)
            controls = _PES_HEADER.findall(beginning + file.read(_SAMPLE_BYTES))
            is_encrypted = _are_mostly_scrambled(b"".join(controls), _PES_SCRAMBLING_MASK)
        elif ts_controls := _ts_control_bytes(beginning):
            is_encrypted = _are_mostly_scrambled(ts_controls, _TS_SCRAMBLING_MASK)
        else:
            is_encrypted = _PROTECTED_SAMPLE_ENTRY in moov
    if is_encrypted:
        raise permanent_error(_ENCRYPTED_MESSAGE)


def reject_encryption_keys(source: Source) -> None:
    """Raise a permanent MediaError if ffprobe reports that a stream is encrypted."""
    if any(
        side_data.get("side_data_type") == _ENCRYPTION_SIDE_DATA
        for stream in source.streams
        for side_data in stream.get("side_data_list", [])
    ):
        raise permanent_error(_ENCRYPTED_MESSAGE)


def _are_mostly_scrambled(control_bytes: bytes, mask: int) -> bool:
    return sum(bool(control & mask) for control in control_bytes) > _MAX_SCRAMBLED_SHARE * len(control_bytes)


def _ts_control_bytes(data: bytes) -> bytes:
    """Return the fourth byte of every packet of a transport stream, or b"" if the data is none."""
    for size in mpegts.PACKET_SIZES:
        if (first := mpegts.find_first_packet(data, size)) is not None:
            return data[first + 3 :: size]
    return b""
