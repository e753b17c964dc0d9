"""Samples of a source's packets and decoded pictures, which are more reliable than its headers.

Headers give one frame rate for material of several, declare interlaced camcorder tapes progressive, and mark pictures
as key frames that are not.
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

# All packets of a video up to this size and duration are listed. Of larger ones, only those in some intervals: the
# first viewer waits for the result.
_MAX_LISTED_BYTES, _MAX_LISTED_S = GIB, 600.0
_INTERVAL_COUNT, _INTERVAL_S = 60, 3.0
# Pictures are decoded at so many positions, from so many packets each.
_DECODE_POSITIONS, _DECODE_PACKETS = 6, 6
_POSITION_OFFSET = 0.618  # by which distances between positions vary, as a share of the distance
_SAMPLE_BYTES = 4096  # of a picture that are read
_MATROSKA_BLOCK_HEADER_BYTES = 4
# Codecs without interlacing whose key frames are marked correctly.
_PROGRESSIVE_CODECS = frozenset({"vp8", "vp9", "av1", "theora", "gif", "png", "webp"})
# With key frames further apart than this, decoding from the previous one takes too long for every segment.
_MAX_KEY_FRAME_DISTANCE_S = 12.0

# The field order by ffprobe's `field_order`, whose second letter is the field that is displayed first.
_FIELD_ORDER = {"tt": "tff", "bt": "tff", "bb": "bff", "tb": "bff"}
_INTERLACED_HEIGHTS = (480, 486, 576, 1080)
_COMPARED_FRAMES, _MIN_CLEAR_SHARE = 100, 0.95
_IDET_COUNTS = re.compile(r"Multi frame detection: TFF: *(\d+) BFF: *(\d+) Progressive: *(\d+)")

# Packets and decoded frames from one position on, in the order in which ffprobe prints them.
PacketsAndFrames = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Packet:
    """A coded picture: presentation time in seconds, key frame flag, offset in the file and size in bytes."""

    time: float
    is_key: bool
    offset: int
    size: int


def sample_source(path: Path, source: Source, binaries: FfmpegBinaries) -> Source:
    """Return the source with what its packets and pictures show about timestamps, interlacing and key frames.

    What cannot be sampled stays as the headers declare it.
    """
    try:
        packets = list_packets(path, source, binaries)
        source = replace(source, sampled_times=sorted({packet.time for packet in packets}))
        positions = _decode_positions(path, source, binaries)
        source = _with_field_order(path, _with_interlacing(source, positions), binaries)
        return _with_key_frames(path, source, packets, positions, binaries)
    except MediaError:
        return source


def list_packets(path: Path, source: Source, binaries: FfmpegBinaries, *, whole: bool = False) -> list[Packet]:
    """Return the packets of the picture; of a large file, unless `whole`, those in evenly spread intervals."""
    intervals = [] if whole or _is_small(path, source) else _intervals(source)
    argv = [
        binaries.ffprobe, "-v", "error", *INPUT_GUARDS, "-select_streams", str(source.video_stream["index"]),
        *(["-read_intervals", ",".join(intervals)] if intervals else []),
        "-show_entries", "packet=pts_time,dts_time,size,pos,flags", "-of", "csv=p=0", f"file:{path}",
    ]  # fmt: skip
    packets = (_parse_packet(line) for line in run_probe(argv, path).stdout.splitlines())
    return [packet for packet in packets if packet]


def _is_small(path: Path, source: Source) -> bool:
    return path.stat().st_size <= _MAX_LISTED_BYTES and source.end - source.start <= _MAX_LISTED_S


def _intervals(source: Source) -> list[str]:
    """Return intervals for ffprobe's -read_intervals."""
    span = max(0.0, source.end - source.start - _INTERVAL_S)
    starts = (source.start + span * number / (_INTERVAL_COUNT - 1) for number in range(_INTERVAL_COUNT))
    return [f"{start:.3f}%+{_INTERVAL_S:.0f}" for start in starts]


def _parse_packet(line: str) -> Packet | None:
    """Parse a line of ffprobe's CSV; return None for a packet without a timestamp."""
    pts, dts, size, offset, flags = (line + ",,,,,").split(",")[:5]
    time = _parse_seconds(pts)
    if time is None and (time := _parse_seconds(dts)) is None:
        return None
    return Packet(time, flags.startswith("K"), _parse_integer(offset), _parse_integer(size))


def _parse_integer(text: Any) -> int:
    """Return a number that is not negative, or -1."""
    return int(text) if str(text).isdigit() else -1


def _parse_seconds(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _with_interlacing(source: Source, positions: Sequence[PacketsAndFrames]) -> Source:
    frames = [entry for position in positions for entry in position if entry["type"] == "frame"]
    if not frames:
        return source
    interlaced = [bool(frame.get("interlaced_frame")) for frame in frames]
    if source.video_stream.get("codec_name") == "hevc" and all(interlaced):  # HEVC codes each field as a picture
        first_field = "top" if frames[0].get("top_field_first") else "bottom"
        return replace(source, interlaced=True, first_field=first_field)
    return replace(source, interlaced=any(interlaced))


def _with_field_order(path: Path, source: Source, binaries: FfmpegBinaries) -> Source:
    """Return captured video, whose frames have no flags, with the field order of the container or of a comparison."""
    stream = source.video_stream
    if source.interlaced or stream.get("codec_name") not in UNFLAGGED_CODECS:
        return source
    field_order = _FIELD_ORDER.get(stream.get("field_order", ""), "")
    if stream.get("field_order", "unknown") == "unknown" and stream.get("height") in _INTERLACED_HEIGHTS:
        field_order = _detect_field_order(path, source, binaries)
    return replace(source, interlaced=True, unflagged_field_order=field_order) if field_order else source


def _detect_field_order(path: Path, source: Source, binaries: FfmpegBinaries) -> str:
    """Return "tff" or "bff" if nearly all pictures in the middle of the video look so, else ""."""
    middle = format_seconds(source.declared_duration / 2)
    argv = [
        binaries.ffmpeg, *LOG_INFO, "-nostats", *guarded_input(path, "-an", "-sn", "-dn", "-ss", middle),
        "-map", f"0:{source.video_stream['index']}", "-frames:v", str(_COMPARED_FRAMES), "-vf", "idet",
        "-f", "null", "-",
    ]  # fmt: skip
    match = _IDET_COUNTS.search(run_probe(argv, path).stderr_tail)
    top, bottom, progressive = map(int, match.groups()) if match else (0, 0, 0)
    threshold = _MIN_CLEAR_SHARE * (top + bottom + progressive)
    return "tff" if top > threshold else "bff" if bottom > threshold else ""


def _with_key_frames(
    path: Path,
    source: Source,
    packets: Sequence[Packet],
    positions: Sequence[PacketsAndFrames],
    binaries: FfmpegBinaries,
) -> Source:
    """Return the source with what is needed if seeking does not lead to key frames.

    Decoding then has to begin at the last real key frame before.
    """
    if not _is_checkable(source):
        is_wrong = any(
            not _first_packet(position).is_key or _has_false_key_frame(position) for position in positions[1:]
        )
        is_sparse = source.has_sparse_key_frames or (is_wrong and not source.refresh_duration)
        return replace(source, has_sparse_key_frames=is_sparse)
    marked = [packet for packet in packets if packet.is_key]
    real, seeked = _real_key_frames(path, source, marked), [_first_packet(position) for position in positions[1:]]
    is_seeking_wrong = len(_real_key_frames(path, source, seeked)) < len(seeked)
    if not real or real[0].time != marked[0].time:
        return source  # not even the first key frame can be parsed, so nothing is known
    if len(real) == len(marked) and not is_seeking_wrong:
        return source
    if not _is_small(path, source):
        packets = list_packets(path, source, binaries, whole=True)
        real = _real_key_frames(path, source, [packet for packet in packets if packet.is_key])
    times = [*sorted(packet.time for packet in real), max(packet.time for packet in packets)]
    distance = max(later - earlier for earlier, later in pairwise(times))
    if distance > _MAX_KEY_FRAME_DISTANCE_S:
        return replace(source, has_sparse_key_frames=True)
    return replace(source, refresh_duration=max(source.refresh_duration, distance))


def _is_checkable(source: Source) -> bool:
    """Return whether the bitstream itself tells which pictures are key frames."""
    return source.video_stream.get("codec_name") in ("h264", "hevc") and source.is_format("mov", "matroska")


def _real_key_frames(path: Path, source: Source, packets: Sequence[Packet]) -> list[Packet]:
    """Return those that decoding can begin with; unreadable ones count too, because damage is checked elsewhere."""
    codec = str(source.video_stream.get("codec_name"))
    header_size = _MATROSKA_BLOCK_HEADER_BYTES if source.is_format("matroska") else 0
    key_frames = []
    with path.open("rb") as file:
        for packet in packets:
            file.seek(max(0, packet.offset) + header_size)
            sample = file.read(min(_SAMPLE_BYTES, max(0, packet.size)))
            if packet.offset < 0 or is_random_access(sample, packet.size, codec) is not False:
                key_frames.append(packet)
    return key_frames


def _decode_positions(path: Path, source: Source, binaries: FfmpegBinaries) -> list[PacketsAndFrames]:
    """Decode some pictures at several positions of the video."""
    if source.video_stream.get("codec_name") in _PROGRESSIVE_CODECS:
        return []
    duration = source.end - source.start
    # Uneven distances, or all of them might be multiples of that between key frames.
    shares = [(number + number * _POSITION_OFFSET % 1) / _DECODE_POSITIONS for number in range(_DECODE_POSITIONS)]
    return [_decode(path, source, binaries, source.start + duration * share) for share in shares]


def _decode(path: Path, source: Source, binaries: FfmpegBinaries, start: float) -> PacketsAndFrames:
    entries = (
        "packet=pts_time,size,pos,flags:frame=pict_type,interlaced_frame,top_field_first,best_effort_timestamp_time"
    )
    argv = [
        binaries.ffprobe, "-v", "error", *INPUT_GUARDS, "-select_streams", str(source.video_stream["index"]),
        "-read_intervals", f"{start:.3f}%+#{_DECODE_PACKETS}", "-show_entries", entries, "-of", "json", f"file:{path}",
    ]  # fmt: skip
    return list(json.loads(run_probe(argv, path).stdout or "{}").get("packets_and_frames", []))


def _first_packet(position: PacketsAndFrames) -> Packet:
    """Return the packet that seeking led to.

    Without one, a key frame is assumed. At a splice, two packets may have the same time; a key frame wins.
    """
    packets = [entry for entry in position if entry["type"] == "packet"] or [{"flags": "K"}]
    simultaneous = [packet for packet in packets if packet.get("pts_time") == packets[0].get("pts_time")]
    first = max(simultaneous, key=lambda packet: "K" in packet.get("flags", ""))
    time = _parse_seconds(first.get("pts_time")) or 0.0
    is_key = "K" in first.get("flags", "")
    return Packet(time, is_key, _parse_integer(first.get("pos")), _parse_integer(first.get("size")))


def _has_false_key_frame(position: PacketsAndFrames) -> bool:
    """Return whether a picture whose packet is marked as a key frame refers to others (P or B)."""
    packets = (entry for entry in position if entry["type"] == "packet")
    key_times = {packet.get("pts_time") for packet in packets if "K" in packet.get("flags", "")} - {None}
    dependent = (entry for entry in position if entry["type"] == "frame" and entry.get("pict_type") in ("P", "B"))
    return any(frame.get("best_effort_timestamp_time") in key_times for frame in dependent)
