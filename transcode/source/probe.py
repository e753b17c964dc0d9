"""All looks at a file before work begins on it; what is no film is refused in words that its owner understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transcode.errors import MediaError
from transcode.plans.source import GUARDS, MAX_PIXELS, QUIET, guarded
from transcode.source import asf, tracks
from transcode.source.boxes import longest_wait, movie_box
from transcode.source.damage import garbage, judged
from transcode.source.description import Source, describe
from transcode.source.encryption import check_keys, refuse_encrypted
from transcode.source.looking import Look, clock, look, refused
from transcode.source.refresh import frames_until_whole
from transcode.source.sampling import sample
from transcode.tools import Tools

LONGEST = 24 * 3600  # seconds
_TRIED = "3"  # seconds of sound that are decoded to see whether it can be
# So much of the end is looked at, and may be missing, in seconds.
_LAST = 2.0
_TOLERANCE = 0.01  # of a film: headers are rounded, and subtitles may run on
# Frames from one key frame to the next: some minute of a film, and some seconds of work in which nothing comes out.
_SPARSE = 1500
_WAIT = 0.5  # seconds from decoding to showing a frame; more than some B-frames take at usual rates
# Bytes of a block's header in Matroska, of a sample's beginning that is looked at; seconds that are believed.
_BLOCK_HEADER, _SAMPLE, _LONGEST_REFRESH = 4, 4096, 10.0
_PER_REFERENCE = 4  # frames for each that others refer to: between them are seldom more than three B-frames
_HEADER = 64 * 1024


def probe(path: Path, tools: Tools) -> Source:
    """All looks at a file before work begins on it. Raises MediaError with the reason why it is refused."""
    judged(garbage(path))  # first, for ffmpeg searches garbage slowly for what can be read
    movie = movie_box(path)
    refuse_encrypted(path, movie)
    source = describe(path, tools)
    check_keys(source)
    if source.of("mov"):  # as in a recording of a screen with B-frames, in which nothing happens for a while
        source = replace(source, leaps=longest_wait(movie) > _WAIT)
    check(source)
    check_size(path)
    try_decoding(path, source, tools)
    source = try_sounds(path, source, tools)
    if source.seekable:
        source = check_end(path, source, tools)
        check_length(source)
    return sample(path, source, tools) if source.seekable else source


def check(source: Source) -> None:
    """Raise a hopeless MediaError for what no film is like."""
    picture = source.picture
    width, height = int(picture.get("width") or 0), int(picture.get("height") or 0)
    if width < 1 or height < 1:
        raise refused("The picture of this film cannot be decoded: its size is unknown.")
    if width * height > MAX_PIXELS:
        raise refused(f"The picture is too large: {width}x{height} pixels, and at most 8K is possible.")
    check_length(source)


def check_length(source: Source) -> None:
    """Raise a hopeless MediaError for a film of days. Subtitles and other streams may end when they like."""
    if source.own_length > LONGEST:
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
    return asf.whole_size(beginning) if asf.is_asf(beginning) else 0


def try_decoding(path: Path, source: Source, tools: Tools) -> None:
    """Decode one picture. Raises a hopeless MediaError when there is none."""
    argv = [
        tools.ffmpeg, *QUIET, *guarded(path, *source.look_longer, "-an", "-sn", "-dn"),
        "-map", f"0:{source.picture['index']}", "-frames:v", "1", "-f", "framecrc", "-",
    ]  # fmt: skip
    if not any(line and not line.startswith("#") for line in look(argv, path).output.splitlines()):
        raise refused("The picture of this film cannot be decoded.")


def try_sounds(path: Path, source: Source, tools: Tools) -> Source:
    """Decode and mix the beginning of every sound stream. Returns the source with those that fail in `unheard`.

    One that is empty at the beginning has not failed; and all at once, for seldom does one fail.
    """
    sounds = source.sounds()
    if not sounds or _begins_to_sound(path, source, tools, sounds) == {stream["index"] for stream in sounds}:
        return source
    unheard = [one["index"] for one in sounds if _begins_to_sound(path, source, tools, [one]) is None]
    return replace(source, unheard=frozenset(unheard))


def _begins_to_sound(path: Path, source: Source, tools: Tools, sounds: Sequence[Mapping[str, Any]]) -> set[int] | None:
    """Return the indexes of the streams that sound in the first seconds, or None when there are only errors."""
    maps = [
        option
        for place, stream in enumerate(sounds)
        for option in ("-map", f"0:{stream['index']}", f"-filter:{place}", tracks.mix_of(stream))
    ]
    argv = [
        tools.ffmpeg, *QUIET, *guarded(path, *source.look_longer, "-t", _TRIED, "-vn", "-sn", "-dn"), *maps,
        "-c:a", "pcm_f32le", "-f", "framecrc", "-",
    ]  # fmt: skip
    try:
        found = look(argv, path)
    except MediaError as error:
        if not error.hopeless:
            raise
        return None
    lines = [line.split(",")[0].strip() for line in found.output.splitlines()]
    heard = {sounds[int(place)]["index"] for place in lines if place.isdigit()}
    return None if found.last_words and not heard else heard


def check_end(path: Path, source: Source, tools: Tools) -> Source:
    """Look whether there is something at the end. Raises a hopeless MediaError when the file breaks off.

    A film that says it is longer than it is, and is whole, is returned with its real end.
    """
    claimed, found = source.end, _last_packets(path, source, tools)
    packets = [_packet(line) for line in found.output.splitlines()]
    wanted = {source.picture["index"], *(stream["index"] for stream in source.sounds())}
    ends = max((packet.end for packet in packets if packet.index in wanted), default=0.0)
    source = _with_key_frames(path, source, packets)
    if claimed - ends <= max(_LAST, claimed * _TOLERANCE):
        return source
    if not ends or found.last_words:
        there = f", and ends at {clock(ends - source.start)}" if ends else ""
        raise refused(f"This film is incomplete: it should be {clock(claimed - source.start)} long{there}.")
    return replace(source, ends=ends)


def look_at_key_frames(path: Path, source: Source, tools: Tools) -> Source:
    """The same, with what its last key frame tells of all of them."""
    packets = [_packet(line) for line in _last_packets(path, source, tools).output.splitlines()]
    return _with_key_frames(path, source, packets)


@dataclass(frozen=True, slots=True)
class _Packet:
    """Of which stream, its end in seconds, and its place in bytes, -1 when that is not known."""

    index: int
    end: float
    place: int


def _last_packets(path: Path, source: Source, tools: Tools) -> Look:
    """From the last key frame before the end on."""
    argv = [
        tools.ffprobe, "-v", "error", *GUARDS, "-read_intervals", f"{max(0.0, source.end - _LAST):.3f}%",
        "-show_entries", "packet=stream_index,pts_time,dts_time,duration_time,pos", "-of", "csv=p=0", f"file:{path}",
    ]  # fmt: skip
    return look(argv, path)


def _with_key_frames(path: Path, source: Source, packets: Sequence[_Packet]) -> Source:
    """`packets`: from a key frame to the end."""
    pictures = [packet for packet in packets if packet.index == source.picture["index"]]
    refresh = _refresh(path, source, pictures[0].place) if pictures else 0.0
    return replace(source, sparse=len(pictures) > _SPARSE, refresh=refresh)


def _refresh(path: Path, source: Source, place: int) -> float:
    """Seconds from a key frame of H.264 until the picture is whole."""
    if source.picture.get("codec_name") != "h264" or not source.of("mov", "matroska") or place < 0 or not source.rate:
        return 0.0
    with path.open("rb") as file:
        file.seek(place + (_BLOCK_HEADER if source.of("matroska") else 0))
        references = frames_until_whole(file.read(_SAMPLE))
    shown = references * _PER_REFERENCE if source.picture.get("has_b_frames") else references
    return min(_LONGEST_REFRESH, shown / source.rate)


def _packet(line: str) -> _Packet:
    """From ffprobe's CSV."""
    index, *times, place = (line + ",,,,").split(",")[:5]
    shown, decoded, length = (float(time) if time[:1].isdigit() else 0.0 for time in times)
    return _Packet(
        int(index) if index.isdigit() else -1, (shown or decoded) + length, int(place) if place.isdigit() else -1
    )
