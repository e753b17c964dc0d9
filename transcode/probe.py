"""All looks at a file before work begins on it; what is no film is refused in words that its owner understands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from transcode.damage import garbage, judged
from transcode.description import Source, describe
from transcode.looking import clock, look, refused
from transcode.plans.source import GUARDS, MAX_PIXELS, QUIET, guarded
from transcode.tools import Tools

LONGEST = 24 * 3600  # seconds
# So much of the end is looked at, and may be missing, in seconds.
_LAST = 2.0
_TOLERANCE = 0.01  # of a film: headers are rounded, and subtitles may run on
# GUIDs of an ASF, and of its object that holds the size of the file behind 40 bytes (ASF specification, 3.2).
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_HEADER = 64 * 1024


def probe(path: Path, tools: Tools) -> Source:
    """All looks at a file before work begins on it. Raises MediaError with the reason why it is refused."""
    judged(garbage(path))  # first, for ffmpeg searches garbage slowly for what can be read
    source = describe(path, tools)
    check(source)
    check_size(path)
    try_decoding(path, source, tools)
    return check_end(path, source, tools) if source.seekable else source


def check(source: Source) -> None:
    """Raise a hopeless MediaError for what no film is like."""
    picture = source.picture
    width, height = int(picture.get("width") or 0), int(picture.get("height") or 0)
    if width < 1 or height < 1:
        raise refused("The picture of this film cannot be decoded: its size is unknown.")
    if width * height > MAX_PIXELS:
        raise refused(f"The picture is too large: {width}x{height} pixels, and at most 8K is possible.")
    if source.length > LONGEST:
        raise refused(f"The film says that it is longer than {LONGEST // 3600} hours.")


def check_size(path: Path) -> None:
    """Raise a hopeless MediaError for an AVI or ASF that breaks off: ffmpeg takes what there is for the whole."""
    with path.open("rb") as file:
        beginning = file.read(_HEADER)
    if _size_in_header(beginning) > path.stat().st_size:
        raise refused("This film is incomplete: its end is missing.")


def _size_in_header(beginning: bytes) -> int:
    """Bytes of the whole file; 0 where nothing is said of that."""
    if beginning.startswith(b"RIFF"):
        return int.from_bytes(beginning[4:8], "little")
    properties = beginning.find(_ASF_PROPERTIES) if beginning.startswith(_ASF) else -1
    return int.from_bytes(beginning[properties + 40 : properties + 48], "little") if properties > 0 else 0


def try_decoding(path: Path, source: Source, tools: Tools) -> None:
    """Decode one picture. Raises a hopeless MediaError when there is none."""
    argv = [
        tools.ffmpeg, *QUIET, *guarded(path, "-an", "-sn", "-dn"), "-map", f"0:{source.picture['index']}",
        "-frames:v", "1", "-f", "framecrc", "-",
    ]  # fmt: skip
    if not any(line and not line.startswith("#") for line in look(argv, path).output.splitlines()):
        raise refused("The picture of this film cannot be decoded.")


def check_end(path: Path, source: Source, tools: Tools) -> Source:
    """Look whether there is something at the end. Raises a hopeless MediaError when the file breaks off.

    A film that says it is longer than it is, and is whole, is returned with its real end.
    """
    claimed = source.end
    argv = [
        tools.ffprobe, "-v", "error", *GUARDS, "-read_intervals", f"{max(0.0, claimed - _LAST):.3f}%", "-of", "csv=p=0",
        "-show_entries", "packet=stream_index,pts_time,dts_time,duration_time", f"file:{path}",
    ]  # fmt: skip
    found = look(argv, path)
    wanted = {source.picture["index"], *(stream["index"] for stream in source.sounds())}
    ends = max((end for index, end in map(_packet_end, found.output.splitlines()) if index in wanted), default=0.0)
    if claimed - ends <= max(_LAST, claimed * _TOLERANCE):
        return source
    if not ends or found.last_words:
        there = f", and ends at {clock(ends - source.start)}" if ends else ""
        raise refused(f"This film is incomplete: it should be {clock(claimed - source.start)} long{there}.")
    return replace(source, ends=ends)


def _packet_end(line: str) -> tuple[int, float]:
    """Index and end of a packet, from ffprobe's CSV."""
    index, *times = (line + ",,,").split(",")[:4]
    shown, decoded, length = (float(time) if time[:1].isdigit() else 0.0 for time in times)
    return int(index) if index.isdigit() else -1, (shown or decoded) + length
