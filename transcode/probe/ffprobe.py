"""Short looks at a source with ffprobe and ffmpeg: within limits, and with words for what goes wrong."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transcode.errors import MediaError, ProcessFailed
from transcode.ffmpeg.process import GIB, FfmpegProcess, ResourceLimits

_TIMEOUT_S = 60.0  # seconds for one look
_LIMITS = ResourceLimits(memory_bytes=4 * GIB, file_size=64 * 1024**2, cpu_seconds=60)

_NO_DECODER = re.compile(r"no decoder found|Decoder \([^()\n]*\) not found")

# What ffmpeg takes the file for, when it is none of the containers that are let in.
_DISALLOWED_FORMAT = re.compile(r"\[(\w+) @ \w+\] Format not on whitelist")
_AUDIO_FORMATS = frozenset(
    {"aac", "ac3", "aiff", "amr", "ape", "au", "caf", "dsf", "dts", "dtshd", "eac3", "flac", "mp3", "mpc", "mpc8"}
    | {"oma", "tak", "truehd", "tta", "voc", "w64", "wav", "wv"}
)
_IMAGE_FORMATS = frozenset({"apng", "gif", "ico", "image2", "jpegxl_anim"})

NOT_A_VIDEO_MESSAGE = "This file is not a film: it is damaged, or of a kind that is not supported."
NO_VIDEO_STREAM_MESSAGE = "This file has sound but no picture."
STILL_IMAGE_MESSAGE = "This file is a picture and not a film."


@dataclass(frozen=True, slots=True)
class ProbeOutput:
    """What a program printed, and what it said on stderr."""

    stdout: str
    stderr_tail: str


def run_probe(argv: Sequence[str], path: Path) -> ProbeOutput:
    """Run a program that reads a source. Raises MediaError, hopeless when it is the file that is at fault."""
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        process = FfmpegProcess(argv, Path(folder), _LIMITS, timeout=_TIMEOUT_S)
        try:
            return ProbeOutput(process.run(), process.stderr_tail)
        except ProcessFailed as error:
            if not path.exists():
                raise MediaError("The source of this film is missing.", stderr_tail=error.stderr_tail) from None
            raise MediaError(
                _rejection_message(path, error.stderr_tail), permanent=True, stderr_tail=error.stderr_tail
            ) from None


def _rejection_message(path: Path, stderr: str) -> str:
    if "Picture size" in stderr or "max_pixels" in stderr:
        return "The picture is too large: at most 8K is possible."
    if "max_streams" in stderr:
        return "This file has too many streams."
    if "moov atom not found" in stderr and b"ftyp" in _read_header(path):
        return "This film is incomplete: its end is missing."
    if refused_kind := _DISALLOWED_FORMAT.search(stderr):
        return _disallowed_format_message(refused_kind[1])
    if _NO_DECODER.search(stderr):
        return "The picture of this film is in a codec that is not supported."
    return NOT_A_VIDEO_MESSAGE


def _disallowed_format_message(format_name: str) -> str:
    if format_name in _AUDIO_FORMATS:
        return NO_VIDEO_STREAM_MESSAGE
    if format_name in _IMAGE_FORMATS or format_name.endswith("_pipe"):
        return STILL_IMAGE_MESSAGE
    return "This file is not a film, or of a kind that is not supported."


def _read_header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(12)


def permanent_error(message: str) -> MediaError:
    """Trying again cannot help."""
    return MediaError(message, permanent=True)
