"""All looks at a file before work begins on it; what is no film is refused in words that its owner understands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from transcode.damage import garbage, judged
from transcode.description import Source, describe
from transcode.looking import Look, clock, look, refused
from transcode.plans.source import GUARDS, MAX_PIXELS, QUIET, guarded
from transcode.tools import Tools

LONGEST = 24 * 3600  # seconds
# So much of the end is looked at, and may be missing, in seconds.
_LAST = 2.0
_TOLERANCE = 0.01  # of a film: headers are rounded, and subtitles may run on
# Frames from one key frame to the next: some minute of a film, and some seconds of work in which nothing comes out.
_SPARSE = 1500
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
    claimed, found = source.end, _last_packets(path, source, tools)
    packets = [_packet_end(line) for line in found.output.splitlines()]
    wanted = {source.picture["index"], *(stream["index"] for stream in source.sounds())}
    ends = max((end for index, end in packets if index in wanted), default=0.0)
    source = replace(source, sparse=_are_many(packets, source))
    if claimed - ends <= max(_LAST, claimed * _TOLERANCE):
        return source
    if not ends or found.last_words:
        there = f", and ends at {clock(ends - source.start)}" if ends else ""
        raise refused(f"This film is incomplete: it should be {clock(claimed - source.start)} long{there}.")
    return replace(source, ends=ends)


def is_sparse(path: Path, source: Source, tools: Tools) -> bool:
    """Whether key frames are far apart, as far as the last one tells."""
    packets = [_packet_end(line) for line in _last_packets(path, source, tools).output.splitlines()]
    return _are_many(packets, source)


def _last_packets(path: Path, source: Source, tools: Tools) -> Look:
    """From the last key frame before the end on."""
    argv = [
        tools.ffprobe, "-v", "error", *GUARDS, "-read_intervals", f"{max(0.0, source.end - _LAST):.3f}%",
        "-show_entries", "packet=stream_index,pts_time,dts_time,duration_time", "-of", "csv=p=0", f"file:{path}",
    ]  # fmt: skip
    return look(argv, path)


def _are_many(packets: Sequence[tuple[int, float]], source: Source) -> bool:
    number = int(source.picture["index"])
    return sum(index == number for index, _ in packets) > _SPARSE


def _packet_end(line: str) -> tuple[int, float]:
    """Index and end of a packet, from ffprobe's CSV."""
    index, *times = (line + ",,,").split(",")[:4]
    shown, decoded, length = (float(time) if time[:1].isdigit() else 0.0 for time in times)
    return int(index) if index.isdigit() else -1, (shown or decoded) + length
