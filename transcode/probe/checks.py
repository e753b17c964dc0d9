"""The single checks of a source, each of which rejects it with a message for its owner; `probe.py` runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transcode.errors import MediaError
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ffmpeg.inputs import INPUT_GUARDS, LOG_ERRORS, MAX_PIXELS, guarded_input
from transcode.probe import asf, tracks
from transcode.probe.ffprobe import ProbeOutput, permanent_error, run_probe
from transcode.probe.nal import count_recovery_frames
from transcode.probe.source import Source
from transcode.timestamps import format_duration

MAX_DURATION_S = 24 * 3600
_AUDIO_TEST_S = "3"  # of audio that are decoded to see whether it can be
# The last seconds are read; as much may be missing, or a share of the duration: headers are rounded, and subtitles may
# end later.
_END_WINDOW_S = 2.0
_DURATION_TOLERANCE_SHARE = 0.01
# Frames from one key frame to the next: about a minute of video, and some seconds of decoding without any output.
_MAX_KEY_FRAME_DISTANCE = 1500
_MATROSKA_BLOCK_HEADER_BYTES = 4
_SAMPLE_BYTES = 4096  # of a picture that are read
_MAX_REFRESH_S = 10.0  # a longer intra refresh is not believed
_FRAMES_PER_REFERENCE = 4  # there are seldom more than three B-frames between reference frames
_HEADER_BYTES = 64 * 1024


def check_video_stream(source: Source) -> None:
    """Raise a permanent MediaError if the picture has no size or is too large, or the video is too long."""
    stream = source.video_stream
    width, height = int(stream.get("width") or 0), int(stream.get("height") or 0)
    if width < 1 or height < 1:
        raise permanent_error("The picture of this video cannot be decoded: its size is unknown.")
    if width * height > MAX_PIXELS:
        raise permanent_error(f"The picture is too large: {width}x{height} pixels; the maximum is 8K.")
    check_duration_limit(source)


def check_duration_limit(source: Source) -> None:
    """Raise a permanent MediaError if picture or audio last for days; other streams may end at any time."""
    if source.audio_video_duration > MAX_DURATION_S:
        raise permanent_error(f"This video claims to be longer than {MAX_DURATION_S // 3600} hours.")


def check_file_size(path: Path) -> None:
    """Raise a permanent MediaError for a truncated AVI or ASF: ffmpeg takes what is there for the whole."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if _declared_size(header) > path.stat().st_size:
        raise permanent_error("This video is incomplete: its end is missing.")


def _declared_size(header: bytes) -> int:
    """Return the size of the whole file in bytes, or 0 if the header does not declare it."""
    if header.startswith(b"RIFF"):
        return int.from_bytes(header[4:8], "little")
    return asf.declared_size(header) if asf.is_asf(header) else 0


def check_video_decodes(path: Path, source: Source, binaries: FfmpegBinaries) -> None:
    """Decode one picture. Raises a permanent MediaError if there is none."""
    argv = [
        binaries.ffmpeg, *LOG_ERRORS, *guarded_input(path, *source.analysis_options, "-an", "-sn", "-dn"),
        "-map", f"0:{source.video_stream['index']}", "-frames:v", "1", "-f", "framecrc", "-",
    ]  # fmt: skip
    if not any(line and not line.startswith("#") for line in run_probe(argv, path).stdout.splitlines()):
        raise permanent_error("The picture of this video cannot be decoded.")


def mark_undecodable_audio(path: Path, source: Source, binaries: FfmpegBinaries) -> Source:
    """Decode and mix the beginning of every audio stream; return the source with those that fail marked.

    A stream that is empty at the beginning has not failed. All are tried at once, because a failure is rare.
    """
    streams = source.audio_streams()
    if not streams or _find_audible_streams(path, source, binaries, streams) == {stream["index"] for stream in streams}:
        return source
    failed = [stream["index"] for stream in streams if _find_audible_streams(path, source, binaries, [stream]) is None]
    return replace(source, undecodable_audio=frozenset(failed))


def _find_audible_streams(
    path: Path, source: Source, binaries: FfmpegBinaries, streams: Sequence[Mapping[str, Any]]
) -> set[int] | None:
    """Return the indexes of the streams with audio in the first seconds, or None if there are only errors."""
    maps = [
        option
        for number, stream in enumerate(streams)
        for option in ("-map", f"0:{stream['index']}", f"-filter:{number}", tracks.stream_downmix_filter(stream))
    ]
    options = [*source.analysis_options, "-t", _AUDIO_TEST_S, "-vn", "-sn", "-dn"]
    argv = [
        binaries.ffmpeg, *LOG_ERRORS, *guarded_input(path, *options), *maps, "-c:a", "pcm_f32le", "-f", "framecrc", "-",
    ]  # fmt: skip
    try:
        output = run_probe(argv, path)
    except MediaError as error:
        if not error.permanent:
            raise
        return None
    numbers = [line.split(",")[0].strip() for line in output.stdout.splitlines()]
    audible = {streams[int(number)]["index"] for number in numbers if number.isdigit()}
    return None if output.stderr_tail and not audible else audible


def check_end(path: Path, source: Source, binaries: FfmpegBinaries) -> Source:
    """Check whether there is data at the end. Raises a permanent MediaError if the file is truncated.

    A complete video whose declared duration is too long is returned with its actual end.
    """
    declared_end, output = source.end, _read_last_packets(path, source, binaries)
    packets = [_parse_packet(line) for line in output.stdout.splitlines()]
    indexes = {source.video_stream["index"], *(stream["index"] for stream in source.audio_streams())}
    actual_end = max((packet.end for packet in packets if packet.index in indexes), default=0.0)
    source = _with_key_frame_info(path, source, packets)
    if declared_end - actual_end <= max(_END_WINDOW_S, declared_end * _DURATION_TOLERANCE_SHARE):
        return source
    if not actual_end or output.stderr_tail:
        suffix = f", but ends at {format_duration(actual_end - source.start)}" if actual_end else ""
        raise permanent_error(
            f"This video is incomplete: it should be {format_duration(declared_end - source.start)} long{suffix}."
        )
    return replace(source, actual_end=actual_end)


def inspect_key_frames(path: Path, source: Source, binaries: FfmpegBinaries) -> Source:
    """Return the source with what its last key frame indicates about all of them."""
    packets = [_parse_packet(line) for line in _read_last_packets(path, source, binaries).stdout.splitlines()]
    return _with_key_frame_info(path, source, packets)


@dataclass(frozen=True, slots=True)
class _Packet:
    """Index of the stream, end in seconds, and offset in bytes, which is -1 if unknown."""

    index: int
    end: float
    offset: int


def _read_last_packets(path: Path, source: Source, binaries: FfmpegBinaries) -> ProbeOutput:
    """List the packets from the last key frame before the end on."""
    argv = [
        binaries.ffprobe, "-v", "error", *INPUT_GUARDS, "-read_intervals",
        f"{max(0.0, source.end - _END_WINDOW_S):.3f}%",
        "-show_entries", "packet=stream_index,pts_time,dts_time,duration_time,pos", "-of", "csv=p=0", f"file:{path}",
    ]  # fmt: skip
    return run_probe(argv, path)


def _with_key_frame_info(path: Path, source: Source, packets: Sequence[_Packet]) -> Source:
    """Return the source with the fields that `packets`, from a key frame to the end, determine."""
    video_packets = [packet for packet in packets if packet.index == source.video_stream["index"]]
    refresh = _measure_refresh(path, source, video_packets[0].offset) if video_packets else 0.0
    is_sparse = len(video_packets) > _MAX_KEY_FRAME_DISTANCE
    return replace(source, has_sparse_key_frames=is_sparse, refresh_duration=refresh)


def _measure_refresh(path: Path, source: Source, offset: int) -> float:
    """Return the seconds from an H.264 key frame until the picture is complete."""
    if (
        source.video_stream.get("codec_name") != "h264"
        or not source.is_format("mov", "matroska")
        or offset < 0
        or not source.frame_rate
    ):
        return 0.0
    with path.open("rb") as file:
        file.seek(offset + (_MATROSKA_BLOCK_HEADER_BYTES if source.is_format("matroska") else 0))
        references = count_recovery_frames(file.read(_SAMPLE_BYTES))
    frames = references * _FRAMES_PER_REFERENCE if source.video_stream.get("has_b_frames") else references
    return min(_MAX_REFRESH_S, frames / source.frame_rate)


def _parse_packet(line: str) -> _Packet:
    """Parse a line of ffprobe's CSV."""
    index, *times, offset = (line + ",,,,").split(",")[:5]
    pts, dts, duration = (float(time) if time[:1].isdigit() else 0.0 for time in times)
    return _Packet(
        int(index) if index.isdigit() else -1, (pts or dts) + duration, int(offset) if offset.isdigit() else -1
    )
