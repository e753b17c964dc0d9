"""Samples of a source's packets and decoded pictures, which say more than its headers.

Headers give one frame rate for material of several, call tapes of camcorders progressive, and mark pictures as key
frames that are none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from transcode.errors import MediaError
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ffmpeg.inputs import INPUT_GUARDS, LOG_INFO, format_seconds, guarded_input
from transcode.ffmpeg.process import GIB
from transcode.probe.ffprobe import run_probe
from transcode.probe.nal import is_random_access
from transcode.probe.source import UNFLAGGED_CODECS, Source

# Films up to this size (bytes) and length (seconds) are listed whole; of larger ones, so many intervals of so many
# seconds: the first viewer waits for it.
_MAX_LISTED_SIZE, _MAX_LISTED_S = GIB, 600.0
_INTERVALS, _INTERVAL_S = 60, 3.0
# Pictures are decoded in so many places, from so many packets each.
_DECODED_PLACES, _DECODED_PACKETS = 6, 6
_UNEVEN = 0.618  # of a place's share of the film
_SAMPLE_SIZE = 4096  # bytes of a picture that are looked at
_BLOCK_HEADER_SIZE = 4  # bytes before a picture in a block of Matroska
# Codecs that know no interlacing and mark key frames rightly.
_PROGRESSIVE_CODECS = frozenset({"vp8", "vp9", "av1", "theora", "gif", "png", "webp"})
# A key frame further away than this (seconds) is too far to decode from for every segment.
_MAX_LEAD_S = 12.0

# What containers say of fields: those displayed first count.
_PARITIES = {"tt": "tff", "bt": "tff", "bb": "bff", "tb": "bff"}
_INTERLACED_HEIGHTS = (480, 486, 576, 1080)
_COMPARED, _CLEAR_SHARE = 100, 0.95
_COUNTS = re.compile(r"Multi frame detection: TFF: *(\d+) BFF: *(\d+) Progressive: *(\d+)")

# Packets and frames in the order in which they come, as ffprobe prints them.
Place = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Packet:
    """One coded picture: when it is shown (seconds), whether it is marked as a key frame, its position and bytes."""

    time: float
    is_key: bool
    position: int
    size: int


def sample_source(path: Path, source: Source, tools: FfmpegBinaries) -> Source:
    """Return the source with what its packets and pictures say of times, interlacing and key frames.

    What cannot be sampled is left as the headers say.
    """
    try:
        packets = list_packets(path, source, tools)
        source = replace(source, sampled_times=sorted({packet.time for packet in packets}))
        places = _decode_places(path, source, tools)
        source = _with_parity(path, _with_interlacing(source, places), tools)
        return _with_key_frames(path, source, packets, places, tools)
    except MediaError:
        return source


def list_packets(path: Path, source: Source, tools: FfmpegBinaries, *, whole: bool = False) -> list[Packet]:
    """Return the packets of the picture; of a large file, unless `whole`, those in evenly spread intervals."""
    intervals = [] if whole or _is_small(path, source) else _intervals(source)
    argv = [
        tools.ffprobe, "-v", "error", *INPUT_GUARDS, "-select_streams", str(source.video_stream["index"]),
        *(["-read_intervals", ",".join(intervals)] if intervals else []),
        "-show_entries", "packet=pts_time,dts_time,size,pos,flags", "-of", "csv=p=0", f"file:{path}",
    ]  # fmt: skip
    found = (_packet(line) for line in run_probe(argv, path).stdout.splitlines())
    return [packet for packet in found if packet]


def _is_small(path: Path, source: Source) -> bool:
    return path.stat().st_size <= _MAX_LISTED_SIZE and source.end - source.start <= _MAX_LISTED_S


def _intervals(source: Source) -> list[str]:
    length = max(0.0, source.end - source.start - _INTERVAL_S)
    starts = (source.start + length * number / (_INTERVALS - 1) for number in range(_INTERVALS))
    return [f"{start:.3f}%+{_INTERVAL_S:.0f}" for start in starts]


def _packet(line: str) -> Packet | None:
    shown, decoded, size, position, flags = (line + ",,,,,").split(",")[:5]
    time = _seconds(shown)
    if time is None and (time := _seconds(decoded)) is None:
        return None
    return Packet(time, flags.startswith("K"), _whole(position), _whole(size))


def _whole(text: Any) -> int:
    return int(text) if str(text).isdigit() else -1


def _seconds(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _with_interlacing(source: Source, places: Sequence[Place]) -> Source:
    frames = [one for place in places for one in place if one["type"] == "frame"]
    if not frames:
        return source
    interlaced = [bool(frame.get("interlaced_frame")) for frame in frames]
    if source.video_stream.get("codec_name") == "hevc" and all(interlaced):  # it codes fields as pictures of their own
        first = "top" if frames[0].get("top_field_first") else "bottom"
        return replace(source, interlaced=True, first_field=first)
    return replace(source, interlaced=any(interlaced))


def _with_parity(path: Path, source: Source, tools: FfmpegBinaries) -> Source:
    """Of captured video whose frames have no flags, ask the container, else compare the fields themselves."""
    picture = source.video_stream
    if source.interlaced or picture.get("codec_name") not in UNFLAGGED_CODECS:
        return source
    parity = _PARITIES.get(picture.get("field_order", ""), "")
    if picture.get("field_order", "unknown") == "unknown" and picture.get("height") in _INTERLACED_HEIGHTS:
        parity = _compared_fields(path, source, tools)
    return replace(source, interlaced=True, unflagged_field_order=parity) if parity else source


def _compared_fields(path: Path, source: Source, tools: FfmpegBinaries) -> str:
    """Return "tff" or "bff" when nearly all pictures in the middle of the film look so, else ""."""
    argv = [
        tools.ffmpeg, *LOG_INFO, "-nostats", *guarded_input(path, "-an", "-sn", "-dn", "-ss",
        format_seconds(source.declared_duration / 2)),
        "-map", f"0:{source.video_stream['index']}", "-frames:v", str(_COMPARED), "-vf", "idet", "-f", "null", "-",
    ]  # fmt: skip
    found = _COUNTS.search(run_probe(argv, path).stderr_tail)
    top, bottom, progressive = map(int, found.groups()) if found else (0, 0, 0)
    enough = _CLEAR_SHARE * (top + bottom + progressive)
    return "tff" if top > enough else "bff" if bottom > enough else ""


def _with_key_frames(
    path: Path, source: Source, packets: Sequence[Packet], places: Sequence[Place], tools: FfmpegBinaries
) -> Source:
    """Look whether seeking leads to key frames; where not, decoding has to begin at the last one before."""
    if not _is_checkable(source):
        wrong = any(not _first_packet(place).is_key or _refers_to_others(place) for place in places[1:])
        return replace(
            source, has_sparse_key_frames=source.has_sparse_key_frames or (wrong and not source.refresh_duration)
        )
    marked = [packet for packet in packets if packet.is_key]
    real, found = _real_keys(path, source, marked), [_first_packet(place) for place in places[1:]]
    lost = len(_real_keys(path, source, found)) < len(found)
    if not real or real[0].time != marked[0].time:
        return source  # not even the first one is understood, so nothing is known
    if len(real) == len(marked) and not lost:
        return source
    if not _is_small(path, source):
        packets = list_packets(path, source, tools, whole=True)
        real = _real_keys(path, source, [packet for packet in packets if packet.is_key])
    times = [*sorted(packet.time for packet in real), max(packet.time for packet in packets)]
    distance = max(after - before for before, after in pairwise(times))
    if distance > _MAX_LEAD_S:
        return replace(source, has_sparse_key_frames=True)
    return replace(source, refresh_duration=max(source.refresh_duration, distance))


def _is_checkable(source: Source) -> bool:
    return source.video_stream.get("codec_name") in ("h264", "hevc") and source.is_format("mov", "matroska")


def _real_keys(path: Path, source: Source, packets: Sequence[Packet]) -> list[Packet]:
    """Those that decoding can begin with; what makes no sense counts, for damage is looked for elsewhere."""
    codec, header = (
        str(source.video_stream.get("codec_name")),
        _BLOCK_HEADER_SIZE if source.is_format("matroska") else 0,
    )
    found = []
    with path.open("rb") as file:
        for packet in packets:
            file.seek(max(0, packet.position) + header)
            sample = file.read(min(_SAMPLE_SIZE, max(0, packet.size)))
            if packet.position < 0 or is_random_access(sample, packet.size, codec) is not False:
                found.append(packet)
    return found


def _decode_places(path: Path, source: Source, tools: FfmpegBinaries) -> list[Place]:
    """Decode some pictures in several places of the film."""
    if source.video_stream.get("codec_name") in _PROGRESSIVE_CODECS:
        return []
    length = source.end - source.start
    # Uneven distances, or all of them might be multiples of that between key frames.
    parts = [(number + number * _UNEVEN % 1) / _DECODED_PLACES for number in range(_DECODED_PLACES)]
    starts = [source.start + length * part for part in parts]
    return [_decode(path, source, tools, start) for start in starts]


def _decode(path: Path, source: Source, tools: FfmpegBinaries, start: float) -> Place:
    entries = (
        "packet=pts_time,size,pos,flags:frame=pict_type,interlaced_frame,top_field_first,best_effort_timestamp_time"
    )
    argv = [
        tools.ffprobe, "-v", "error", *INPUT_GUARDS, "-select_streams", str(source.video_stream["index"]),
        "-read_intervals", f"{start:.3f}%+#{_DECODED_PACKETS}", "-show_entries", entries, "-of", "json", f"file:{path}",
    ]  # fmt: skip
    return list(json.loads(run_probe(argv, path).stdout or "{}").get("packets_and_frames", []))


def _first_packet(place: Place) -> Packet:
    """Where seeking led; one that is nothing counts as a key frame. At a splice, two packets may have one time."""
    packets = [one for one in place if one["type"] == "packet"] or [{"flags": "K"}]
    same = [one for one in packets if one.get("pts_time") == packets[0].get("pts_time")]
    first = max(same, key=lambda one: "K" in one.get("flags", ""))
    time = _seconds(first.get("pts_time")) or 0.0
    return Packet(time, "K" in first.get("flags", ""), _whole(first.get("pos")), _whole(first.get("size")))


def _refers_to_others(place: Place) -> bool:
    """Whether a picture whose packet is marked as a key frame decodes as one that refers to others."""
    keys = {one.get("pts_time") for one in place if one["type"] == "packet" and "K" in one.get("flags", "")} - {None}
    others = (one for one in place if one["type"] == "frame" and one.get("pict_type") in ("P", "B"))
    return any(one.get("best_effort_timestamp_time") in keys for one in others)
