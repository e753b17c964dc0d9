"""All looks at a file before work begins on it; what is no film is refused in words that its owner understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transcode.errors import MediaError
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ffmpeg.inputs import INPUT_GUARDS, LOG_ERRORS, MAX_PIXELS, guarded_input
from transcode.probe import asf, tracks
from transcode.probe.damage import assess_damage, measure_garbage
from transcode.probe.encryption import reject_encrypted, reject_encryption_keys
from transcode.probe.ffprobe import ProbeOutput, permanent_error, run_probe
from transcode.probe.h264 import count_recovery_frames
from transcode.probe.mp4 import max_composition_delay, read_moov
from transcode.probe.sampling import sample_source
from transcode.probe.source import Source, describe_source
from transcode.timestamps import format_duration

MAX_DURATION_S = 24 * 3600  # seconds
_TRIED = "3"  # seconds of sound that are decoded to see whether it can be
# So much of the end is looked at, and may be missing, in seconds.
_END_WINDOW_S = 2.0
_DURATION_TOLERANCE_SHARE = 0.01  # of a film: headers are rounded, and subtitles may run on
# Frames from one key frame to the next: some minute of a film, and some seconds of work in which nothing comes out.
_MAX_KEY_FRAME_DISTANCE = 1500
_MAX_COMPOSITION_DELAY_S = 0.5  # seconds from decoding to showing a frame; more than some B-frames take at usual rates
# Bytes of a block's header in Matroska, of a sample's beginning that is looked at; seconds that are believed.
_MATROSKA_BLOCK_HEADER_BYTES, _SAMPLE_BYTES, _MAX_REFRESH_S = 4, 4096, 10.0
_FRAMES_PER_REFERENCE = 4  # frames for each that others refer to: between them are seldom more than three B-frames
_HEADER_BYTES = 64 * 1024


def probe_source(path: Path, binaries: FfmpegBinaries) -> Source:
    """All looks at a file before work begins on it. Raises MediaError with the reason why it is refused."""
    assess_damage(measure_garbage(path))  # first, for ffmpeg searches garbage slowly for what can be read
    movie = read_moov(path)
    reject_encrypted(path, movie)
    source = describe_source(path, binaries)
    reject_encryption_keys(source)
    if source.is_format("mov"):  # as in a recording of a screen with B-frames, in which nothing happens for a while
        source = replace(source, has_long_frame_delay=max_composition_delay(movie) > _MAX_COMPOSITION_DELAY_S)
    check_video_stream(source)
    check_file_size(path)
    check_video_decodes(path, source, binaries)
    source = mark_undecodable_audio(path, source, binaries)
    if source.is_seekable:
        source = check_end(path, source, binaries)
        check_duration_limit(source)
    return sample_source(path, source, binaries) if source.is_seekable else source


def check_video_stream(source: Source) -> None:
    """Raise a hopeless MediaError for what no film is like."""
    picture = source.video_stream
    width, height = int(picture.get("width") or 0), int(picture.get("height") or 0)
    if width < 1 or height < 1:
        raise permanent_error("The picture of this film cannot be decoded: its size is unknown.")
    if width * height > MAX_PIXELS:
        raise permanent_error(f"The picture is too large: {width}x{height} pixels, and at most 8K is possible.")
    check_duration_limit(source)


def check_duration_limit(source: Source) -> None:
    """Raise a hopeless MediaError for a film of days. Subtitles and other streams may end when they like."""
    if source.audio_video_duration > MAX_DURATION_S:
        raise permanent_error(f"The film says that it is longer than {MAX_DURATION_S // 3600} hours.")


def check_file_size(path: Path) -> None:
    """Raise a hopeless MediaError for an AVI or ASF that breaks off: ffmpeg takes what there is for the whole."""
    with path.open("rb") as file:
        beginning = file.read(_HEADER_BYTES)
    if _declared_size(beginning) > path.stat().st_size:
        raise permanent_error("This film is incomplete: its end is missing.")


def _declared_size(header: bytes) -> int:
    """Bytes of the whole file; 0 where nothing is said of that."""
    if header.startswith(b"RIFF"):
        return int.from_bytes(header[4:8], "little")
    return asf.declared_size(header) if asf.is_asf(header) else 0


def check_video_decodes(path: Path, source: Source, binaries: FfmpegBinaries) -> None:
    """Decode one picture. Raises a hopeless MediaError when there is none."""
    argv = [
        binaries.ffmpeg, *LOG_ERRORS, *guarded_input(path, *source.analysis_options, "-an", "-sn", "-dn"),
        "-map", f"0:{source.video_stream['index']}", "-frames:v", "1", "-f", "framecrc", "-",
    ]  # fmt: skip
    if not any(line and not line.startswith("#") for line in run_probe(argv, path).stdout.splitlines()):
        raise permanent_error("The picture of this film cannot be decoded.")


def mark_undecodable_audio(path: Path, source: Source, tools: FfmpegBinaries) -> Source:
    """Decode and mix the beginning of every sound stream. Returns the source with those that fail in `unheard`.

    One that is empty at the beginning has not failed; and all at once, for seldom does one fail.
    """
    sounds = source.audio_streams()
    if not sounds or _begins_to_sound(path, source, tools, sounds) == {stream["index"] for stream in sounds}:
        return source
    unheard = [one["index"] for one in sounds if _begins_to_sound(path, source, tools, [one]) is None]
    return replace(source, undecodable_audio=frozenset(unheard))


def _begins_to_sound(
    path: Path, source: Source, tools: FfmpegBinaries, sounds: Sequence[Mapping[str, Any]]
) -> set[int] | None:
    """Return the indexes of the streams that sound in the first seconds, or None when there are only errors."""
    maps = [
        option
        for place, stream in enumerate(sounds)
        for option in ("-map", f"0:{stream['index']}", f"-filter:{place}", tracks.stream_downmix_filter(stream))
    ]
    argv = [
        tools.ffmpeg, *LOG_ERRORS, *guarded_input(path, *source.analysis_options, "-t", _TRIED, "-vn", "-sn", "-dn"),
        *maps,
        "-c:a", "pcm_f32le", "-f", "framecrc", "-",
    ]  # fmt: skip
    try:
        found = run_probe(argv, path)
    except MediaError as error:
        if not error.permanent:
            raise
        return None
    lines = [line.split(",")[0].strip() for line in found.stdout.splitlines()]
    heard = {sounds[int(place)]["index"] for place in lines if place.isdigit()}
    return None if found.stderr_tail and not heard else heard


def check_end(path: Path, source: Source, binaries: FfmpegBinaries) -> Source:
    """Look whether there is something at the end. Raises a hopeless MediaError when the file breaks off.

    A film that says it is longer than it is, and is whole, is returned with its real end.
    """
    claimed, found = source.end, _read_last_packets(path, source, binaries)
    packets = [_parse_packet(line) for line in found.stdout.splitlines()]
    wanted = {source.video_stream["index"], *(stream["index"] for stream in source.audio_streams())}
    ends = max((packet.end for packet in packets if packet.index in wanted), default=0.0)
    source = _with_key_frame_info(path, source, packets)
    if claimed - ends <= max(_END_WINDOW_S, claimed * _DURATION_TOLERANCE_SHARE):
        return source
    if not ends or found.stderr_tail:
        there = f", and ends at {format_duration(ends - source.start)}" if ends else ""
        raise permanent_error(
            f"This film is incomplete: it should be {format_duration(claimed - source.start)} long{there}."
        )
    return replace(source, actual_end=ends)


def inspect_key_frames(path: Path, source: Source, binaries: FfmpegBinaries) -> Source:
    """The same, with what its last key frame tells of all of them."""
    packets = [_parse_packet(line) for line in _read_last_packets(path, source, binaries).stdout.splitlines()]
    return _with_key_frame_info(path, source, packets)


@dataclass(frozen=True, slots=True)
class _Packet:
    """Of which stream, its end in seconds, and its place in bytes, -1 when that is not known."""

    index: int
    end: float
    offset: int


def _read_last_packets(path: Path, source: Source, binaries: FfmpegBinaries) -> ProbeOutput:
    """From the last key frame before the end on."""
    argv = [
        binaries.ffprobe, "-v", "error", *INPUT_GUARDS, "-read_intervals",
        f"{max(0.0, source.end - _END_WINDOW_S):.3f}%",
        "-show_entries", "packet=stream_index,pts_time,dts_time,duration_time,pos", "-of", "csv=p=0", f"file:{path}",
    ]  # fmt: skip
    return run_probe(argv, path)


def _with_key_frame_info(path: Path, source: Source, packets: Sequence[_Packet]) -> Source:
    """`packets`: from a key frame to the end."""
    pictures = [packet for packet in packets if packet.index == source.video_stream["index"]]
    refresh = _measure_refresh(path, source, pictures[0].offset) if pictures else 0.0
    return replace(source, has_sparse_key_frames=len(pictures) > _MAX_KEY_FRAME_DISTANCE, refresh_duration=refresh)


def _measure_refresh(path: Path, source: Source, offset: int) -> float:
    """Seconds from a key frame of H.264 until the picture is whole."""
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
    shown = references * _FRAMES_PER_REFERENCE if source.video_stream.get("has_b_frames") else references
    return min(_MAX_REFRESH_S, shown / source.frame_rate)


def _parse_packet(line: str) -> _Packet:
    """From ffprobe's CSV."""
    index, *times, place = (line + ",,,,").split(",")[:5]
    shown, decoded, length = (float(time) if time[:1].isdigit() else 0.0 for time in times)
    return _Packet(
        int(index) if index.isdigit() else -1, (shown or decoded) + length, int(place) if place.isdigit() else -1
    )
