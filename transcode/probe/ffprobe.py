"""Short runs of ffprobe and ffmpeg on a source, within limits, and messages for what they report."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transcode.errors import MediaError, ProcessFailed
from transcode.ffmpeg.process import GIB, FfmpegProcess, ResourceLimits

_TIMEOUT_S = 60.0  # of one run
_LIMITS = ResourceLimits(memory_bytes=4 * GIB, file_size=64 * 1024**2, cpu_seconds=60)

_NO_DECODER = re.compile(r"no decoder found|Decoder \([^()\n]*\) not found")

# What ffmpeg detects if the file is none of the allowed containers.
_DISALLOWED_FORMAT = re.compile(r"\[(\w+) @ \w+\] Format not on whitelist")
_AUDIO_FORMATS = frozenset(
    {"aac", "ac3", "aiff", "amr", "ape", "au", "caf", "dsf", "dts", "dtshd", "eac3", "flac", "mp3", "mpc", "mpc8"}
    | {"oma", "tak", "truehd", "tta", "voc", "w64", "wav", "wv"}
)
_IMAGE_FORMATS = frozenset({"apng", "gif", "ico", "image2", "jpegxl_anim"})

NOT_A_VIDEO_MESSAGE = "This file is not a video: it is damaged, or its format is not supported."
NO_VIDEO_STREAM_MESSAGE = "This file has audio but no picture."
STILL_IMAGE_MESSAGE = "This file is an image, not a video."
_UNKNOWN_FORMAT_MESSAGE = "This file is not a video, or its format is not supported."


@dataclass(frozen=True, slots=True)
class ProbeOutput:
    """The stdout of a program, and the end of its stderr."""

    stdout: str
    stderr_tail: str


def run_probe(argv: Sequence[str], path: Path) -> ProbeOutput:
    """Run a program that reads a source. Raises MediaError, a permanent one if the file is at fault."""
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        process = FfmpegProcess(argv, Path(folder), _LIMITS, timeout=_TIMEOUT_S)
        try:
            return ProbeOutput(process.run(), process.stderr_tail)
        except ProcessFailed as error:
            if not path.exists():
                raise MediaError("The source of this video is missing.", stderr_tail=error.stderr_tail) from None
            message = _rejection_message(path, error.stderr_tail)
            raise MediaError(message, permanent=True, stderr_tail=error.stderr_tail) from None


def _rejection_message(path: Path, stderr: str) -> str:
    if "Picture size" in stderr or "max_pixels" in stderr:
        return "The picture is too large: the maximum is 8K."
    if "max_streams" in stderr:
        return "This file has too many streams."
    if "moov atom not found" in stderr and b"ftyp" in _read_header(path):
        return "This video is incomplete: its end is missing."
    if disallowed := _DISALLOWED_FORMAT.search(stderr):
        return _disallowed_format_message(disallowed[1])
    if _NO_DECODER.search(stderr):
        return "The picture of this video uses a codec that is not supported."
    return NOT_A_VIDEO_MESSAGE


def _disallowed_format_message(format_name: str) -> str:
    if format_name in _AUDIO_FORMATS:
        return NO_VIDEO_STREAM_MESSAGE
    if format_name in _IMAGE_FORMATS or format_name.endswith("_pipe"):
        return STILL_IMAGE_MESSAGE
    return _UNKNOWN_FORMAT_MESSAGE


def _read_header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(12)


def permanent_error(message: str) -> MediaError:
    """Return the error for a file that no further attempt can process."""
    return MediaError(message, permanent=True)
