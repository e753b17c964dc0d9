"""Short looks at a source with ffprobe and ffmpeg: within limits, and with words for what goes wrong."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transcode.errors import Failed, MediaError
from transcode.runner import GIB, Limits, Run

_PATIENCE = 60.0  # seconds for one look
_LIMITS = Limits(memory=4 * GIB, file_size=64 * 1024**2, cpu=60)

_NO_DECODER = re.compile(r"no decoder found|Decoder \([^()\n]*\) not found")

# What ffmpeg takes the file for, when it is none of the containers that are let in.
_OTHER_KIND = re.compile(r"\[(\w+) @ \w+\] Format not on whitelist")
_SOUNDS = frozenset(
    {"aac", "ac3", "aiff", "amr", "ape", "au", "caf", "dsf", "dts", "dtshd", "eac3", "flac", "mp3", "mpc", "mpc8"}
    | {"oma", "tak", "truehd", "tta", "voc", "w64", "wav", "wv"}
)
_PICTURES = frozenset({"apng", "gif", "ico", "image2", "jpegxl_anim"})

NO_FILM = "This file is not a film: it is damaged, or of a kind that is not supported."
NO_PICTURE = "This file has sound but no picture."
STILL = "This file is a picture and not a film."


@dataclass(frozen=True, slots=True)
class Look:
    """What a program printed, and what it said on stderr."""

    output: str
    last_words: str


def look(argv: Sequence[str], path: Path) -> Look:
    """Run a program that reads a source. Raises MediaError, hopeless when it is the file that is at fault."""
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        run = Run(argv, Path(folder), _LIMITS, timeout=_PATIENCE)
        try:
            return Look(run(), run.last_words)
        except Failed as error:
            if not path.exists():
                raise MediaError("The source of this film is missing.", last_words=error.last_words) from None
            raise MediaError(_reason(path, error.last_words), hopeless=True, last_words=error.last_words) from None


def _reason(path: Path, words: str) -> str:
    if "Picture size" in words or "max_pixels" in words:
        return "The picture is too large: at most 8K is possible."
    if "max_streams" in words:
        return "This file has too many streams."
    if "moov atom not found" in words and b"ftyp" in _beginning(path):
        return "This film is incomplete: its end is missing."
    if refused_kind := _OTHER_KIND.search(words):
        return _of_other_kind(refused_kind[1])
    if _NO_DECODER.search(words):
        return "The picture of this film is in a codec that is not supported."
    return NO_FILM


def _of_other_kind(name: str) -> str:
    if name in _SOUNDS:
        return NO_PICTURE
    if name in _PICTURES or name.endswith("_pipe"):
        return STILL
    return "This file is not a film, or of a kind that is not supported."


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(12)


def refused(sentence: str) -> MediaError:
    """Trying again cannot help."""
    return MediaError(sentence, hopeless=True)


def clock(seconds: float) -> str:
    """1:02:03, or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
