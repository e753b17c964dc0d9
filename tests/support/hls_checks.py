"""An independent oracle for published videos: the rules that hold for every one of them.

It checks RFC 8216 and Apple's HLS authoring specification from the files in the video's folder alone.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import m3u8
import pytest

from tests.support import ffprobe
from tests.support.ffprobe import AAC_FRAME, CLOCK, ENVIRONMENT, RATE, SegmentPackets
from transcode.ffmpeg.binaries import FfmpegBinaries

# Types of NAL units: the picture, and what may precede it (H.264, 7.4.1).
_IDR_TYPE, _PARAMETER_TYPES = 5, (6, 7, 8, 9)
_AAC_CODEC = "mp4a.40.2"


def check(
    folder: Path, tools: FfmpegBinaries, packets_by_file: Mapping[Path, SegmentPackets] = MappingProxyType({})
) -> None:
    """Check every playlist and every segment of a finished video.

    `packets_by_file` are the packets of segments that have been read already.
    """
    master = m3u8.load(str(folder / "master.m3u8"))
    assert master.is_variant
    assert master.is_independent_segments
    assert master.playlists
    tracks = [media for media in master.media if media.uri]
    audio_rates = [check_audio_track(folder / media.uri, tools) for media in tracks if media.type == "AUDIO"]
    for media in tracks:
        if media.type == "SUBTITLES":
            check_subtitles(folder / media.uri, tools)
    timings = {check_rendition(folder, playlist, audio_rates, tools, packets_by_file) for playlist in master.playlists}
    assert len(timings) == 1  # segments of all renditions have the same times, so that players may switch
    ((starts, fps),) = timings
    for playlist, iframes in zip(master.playlists, master.iframe_playlists, strict=True):
        assert Path(iframes.uri).parent == Path(playlist.uri).parent
        assert iframes.iframe_stream_info.resolution == playlist.stream_info.resolution
        assert iframes.iframe_stream_info.codecs == playlist.stream_info.codecs.split(",")[0]
        check_i_frames(folder, iframes, starts, tools)
    target = m3u8.load(str(folder / master.playlists[0].uri)).target_duration
    for media in (*tracks, *master.playlists):
        playlist = m3u8.load(str(folder / media.uri))
        assert abs(sum(_durations(playlist)) - starts[-1]) <= 1 / fps + Fraction(AAC_FRAME, RATE)
        # RFC 8216, 6.2.4: all but subtitles.
        assert playlist.target_duration == target or getattr(media, "type", "") == "SUBTITLES"
    check_all_files_are_listed(folder)


def check_rendition(
    folder: Path,
    listed: m3u8.Playlist,
    audio_rates: Sequence[tuple[float, float]],
    tools: FfmpegBinaries,
    packets_by_file: Mapping[Path, SegmentPackets],
) -> tuple[tuple[Fraction, ...], Fraction]:
    """Check a variant of the master. Return the start of each segment with the end of the last one, and the fps."""
    path, info = folder / listed.uri, listed.stream_info
    playlist = check_media_playlist(path)
    assert playlist.is_independent_segments
    files = [path.parent / segment.uri for segment in playlist.segments]
    streams = _streams(files[0], tools)
    video = streams["video"]
    fps = Fraction(video["r_frame_rate"])
    assert info.frame_rate == pytest.approx(float(fps), abs=0.001)
    assert info.resolution == (video["width"], video["height"])
    assert video["sample_aspect_ratio"] in ("1:1", "N/A")
    assert (video["pix_fmt"], video["profile"]) == ("yuv420p", "High")
    codecs = [f"avc1.6400{video['level']:02x}", *([_AAC_CODEC] if "audio" in streams else [])]
    assert info.codecs.split(",") == codecs
    assert info.audio == ("audio" if audio_rates else None)
    peak, average = rates(playlist, [file.stat().st_size for file in files])
    peak += max((track_peak for track_peak, _ in audio_rates), default=0)
    average += max((track_average for _, track_average in audio_rates), default=0)
    check_rates(info, peak, average)
    starts = [sum(_durations(playlist)[:number], Fraction(0)) for number in range(len(files) + 1)]
    segments = [packets_by_file.get(file) or ffprobe.read_packets(tools, file) for file in files]
    for file, packets, (begin, end) in zip(files, segments, pairwise(starts), strict=True):
        assert first_picture(file) == _IDR_TYPE
        check_segment(packets, begin, end, fps)
    check_audio_continuity([time for packets in segments for time in packets.audio_times])
    assert bool(segments[0].audio_times) == ("audio" in streams)
    return tuple(starts), fps


def check_audio_continuity(times: Sequence[int]) -> None:
    """Check that audio packets follow each other without a gap, from one frame before the video on."""
    step = AAC_FRAME * CLOCK // RATE
    assert times == [step * (number - 1) for number in range(len(times))]


def check_segment(packets: SegmentPackets, begin: Fraction, end: Fraction, fps: Fraction) -> None:
    """Check that the frames are exactly those from `begin` to `end`, a key frame first, and that the audio is there."""
    assert packets.key_frames[0] == 0
    assert packets.presentation_times[0] == min(packets.presentation_times)
    times = sorted(packets.presentation_times)
    assert abs(Fraction(times[0], CLOCK) - begin) <= Fraction(1, CLOCK) + Fraction(1, 10**6)
    assert abs(Fraction(times[-1], CLOCK) + 1 / fps - end) <= Fraction(2, CLOCK) + Fraction(1, 10**6)
    assert all(
        abs(Fraction(after - before, CLOCK) - 1 / fps) <= Fraction(1, CLOCK) for before, after in pairwise(times)
    )
    if packets.audio_times:
        # Audio is cut at decoding times, which are up to two frames before presentation times.
        step, ahead = Fraction(AAC_FRAME, RATE), 2 / fps
        assert begin - ahead - step <= Fraction(packets.audio_times[0], CLOCK) <= begin + step
        assert end - ahead - step <= Fraction(packets.audio_times[-1], CLOCK) + step <= end + step


def check_i_frames(
    folder: Path, listed: m3u8.IFramePlaylist, starts: Sequence[Fraction], tools: FfmpegBinaries
) -> None:
    """Check that every byte range is one picture that decodes on its own."""
    path, info = folder / listed.uri, listed.iframe_stream_info
    playlist = check_media_playlist(path)
    assert playlist.is_i_frames_only
    assert _durations(playlist) == [end - begin for begin, end in pairwise(starts)]
    parts = []
    for segment in playlist.segments:
        length, offset = map(int, segment.byterange.split("@"))
        parts.append((path.parent / segment.uri).read_bytes()[offset : offset + length])
        assert len(parts[-1]) == length
    assert pictures(b"".join(parts), tools) == [("I", *info.resolution)] * len(parts)
    check_rates(info, *rates(playlist, [len(part) for part in parts]))


def check_audio_track(path: Path, tools: FfmpegBinaries) -> tuple[float, float]:
    """Check a track of the audio group. Return its peak and average bits per second."""
    playlist = check_media_playlist(path)
    files = [path.parent / segment.uri for segment in playlist.segments]
    assert set(_streams(files[0], tools)) == {"audio"}
    check_audio_continuity([time for file in files for time in ffprobe.read_packets(tools, file).audio_times])
    return rates(playlist, [file.stat().st_size for file in files])


def check_subtitles(path: Path, tools: FfmpegBinaries) -> None:
    """Check that subtitles are WebVTT with a timestamp map to the clock of the segments (RFC 8216, 3.5)."""
    playlist = check_media_playlist(path)
    for segment in playlist.segments:
        text = (path.parent / segment.uri).read_text()
        assert text.startswith(f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{ffprobe.CLOCK_START * CLOCK},LOCAL:00:00:00.000\n")
        ffprobe.run_ffprobe(tools, "-show_packets", str(path.parent / segment.uri))


def check_media_playlist(path: Path) -> m3u8.M3U8:
    """Check what all media playlists have in common. Return the playlist."""
    playlist = m3u8.load(str(path))
    assert (playlist.playlist_type, playlist.is_endlist, playlist.media_sequence) == ("vod", True, 0)
    assert all((path.parent / segment.uri).stat().st_size for segment in playlist.segments)
    assert not any(segment.discontinuity for segment in playlist.segments)
    for duration in _durations(playlist):
        assert int(duration + Fraction(1, 2)) <= playlist.target_duration  # RFC 8216, 4.3.3.1
        assert 0 < duration <= playlist.target_duration + Fraction(1, 2)  # Apple's rule
    return playlist


def check_all_files_are_listed(folder: Path) -> None:
    """Check that every file is listed in a playlist or in the storyboard's index."""
    listed = {folder / "master.m3u8", folder / "storyboard" / "index.vtt"}
    for path in folder.rglob("*.m3u8"):
        playlist = m3u8.load(str(path))
        listed |= {path.parent / segment.uri for segment in playlist.segments}
        listed |= {path.parent / variant.uri for variant in (*playlist.playlists, *playlist.iframe_playlists)}
        listed |= {path.parent / media.uri for media in playlist.media if media.uri}
    listed |= set((folder / "storyboard").glob("*.jpg"))
    assert listed == {path for path in folder.rglob("*") if path.is_file()}


def rates(playlist: m3u8.M3U8, sizes: Iterable[int]) -> tuple[float, float]:
    """Return the bits per second of the worst run of 0.5 to 1.5 target durations, and of all (RFC 8216, 4.1)."""
    durations, bits = _durations(playlist), [8 * size for size in sizes]
    average = sum(bits) / sum(durations)
    runs = [slice(first, end) for end in range(1, len(bits) + 1) for first in range(max(0, end - 40), end)]
    run_rates = [
        sum(bits[run]) / sum(durations[run])
        for run in runs
        if Fraction(1, 2) <= sum(durations[run]) / playlist.target_duration <= Fraction(3, 2)
    ]
    return float(max([average, *run_rates])), float(average)


def check_rates(info: m3u8.StreamInfo, peak: float, average: float) -> None:
    """Check that listed rates are within ten per cent, and the peak not below the real one (Apple's 9.14 and 9.15)."""
    assert peak <= info.bandwidth + 1 <= 1.1 * peak + 2
    assert 0.9 * average <= info.average_bandwidth <= 1.1 * average + 1


def first_picture(file: Path) -> int:
    """Return the type of the first NAL unit in a transport stream's video that is a picture."""
    stream = b""
    for packet in re.findall(rb"(?s)G.{187}", file.read_bytes()[: 188 * 100]):
        if packet[1] & 0x1F == 1 and packet[2] == 0 and packet[3] & 0x10:  # ffmpeg's first stream
            stream += packet[5 + packet[4] if packet[3] & 0x20 else 4 :]
    units = [unit & 0x1F for unit in re.findall(rb"(?s)\x00\x00\x01(.)", stream) for unit in unit if not unit & 0x80]
    return next(unit for unit in units if unit not in _PARAMETER_TYPES)


def _durations(playlist: m3u8.M3U8) -> list[Fraction]:
    return [Fraction(str(segment.duration)) for segment in playlist.segments]


def _streams(file: Path, tools: FfmpegBinaries) -> dict[str, dict[str, object]]:
    """Return ffprobe's description of each stream by kind; no kind occurs twice."""
    streams = json.loads(ffprobe.run_ffprobe(tools, "-of", "json", "-show_streams", str(file)))["streams"]
    by_kind = {stream["codec_type"]: stream for stream in streams}
    assert len(by_kind) == len(streams)
    return by_kind


def pictures(part: bytes, tools: FfmpegBinaries) -> list[tuple[str, int, int]]:
    """Return the type, width and height of each picture in a part of a transport stream."""
    entries = "frame=pict_type,width,height"
    command = [tools.ffprobe, "-v", "error", "-f", "mpegts", "-select_streams", "v", "-show_entries", entries]
    process = subprocess.run(
        [*command, "-of", "json", "-i", "-"], input=part, capture_output=True, check=True, env=ENVIRONMENT
    )
    frames = json.loads(process.stdout)["frames"]
    return [(frame["pict_type"], frame["width"], frame["height"]) for frame in frames]
