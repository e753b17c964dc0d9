"""An independent oracle for published videos: the rules that hold for every one of them.

RFC 8216 and Apple's HLS authoring specification, looked at from outside: only the files in the video's folder count.
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

_IDR, _PARAMETERS = 5, (6, 7, 8, 9)  # types of NAL units: the picture, and what may come before it (H.264, 7.4.1)
_SOUND = "mp4a.40.2"


def check(folder: Path, tools: FfmpegBinaries, known: Mapping[Path, SegmentPackets] = MappingProxyType({})) -> None:
    """Look at every playlist and every segment of a finished video; an assertion tells what is wrong.

    `known`: what has been looked at already.
    """
    master = m3u8.load(str(folder / "master.m3u8"))
    assert master.is_variant
    assert master.is_independent_segments
    assert master.playlists
    tracks = [media for media in master.media if media.uri]
    sounds = [check_audio_track(folder / media.uri, tools) for media in tracks if media.type == "AUDIO"]
    for media in tracks:
        if media.type == "SUBTITLES":
            check_subtitles(folder / media.uri, tools)
    timings = {check_rendition(folder, playlist, sounds, tools, known) for playlist in master.playlists}
    assert len(timings) == 1  # every segment of every rendition at the same time, so that players may switch
    ((starts, fps),) = timings
    for playlist, iframes in zip(master.playlists, master.iframe_playlists, strict=True):
        assert Path(iframes.uri).parent == Path(playlist.uri).parent
        assert iframes.iframe_stream_info.resolution == playlist.stream_info.resolution
        assert iframes.iframe_stream_info.codecs == playlist.stream_info.codecs.split(",")[0]
        check_i_frames(folder, iframes, starts, tools)
    target = m3u8.load(str(folder / master.playlists[0].uri)).target_duration
    for media in (*tracks, *master.playlists):
        playlist = m3u8.load(str(folder / media.uri))
        assert abs(sum(_lengths(playlist)) - starts[-1]) <= 1 / fps + Fraction(AAC_FRAME, RATE)
        # RFC 8216, 6.2.4: all but subtitles.
        assert playlist.target_duration == target or getattr(media, "type", "") == "SUBTITLES"
    check_all_files_are_listed(folder)


def check_rendition(
    folder: Path,
    listed: m3u8.Playlist,
    sounds: Sequence[tuple[float, float]],
    tools: FfmpegBinaries,
    known: Mapping[Path, SegmentPackets],
) -> tuple[tuple[Fraction, ...], Fraction]:
    """A variant of the master. Returns when its segments begin and the last one ends, and its frames per second."""
    place, info = folder / listed.uri, listed.stream_info
    playlist = check_media_playlist(place)
    assert playlist.is_independent_segments
    files = [place.parent / piece.uri for piece in playlist.segments]
    described = _streams(files[0], tools)
    video = described["video"]
    fps = Fraction(video["r_frame_rate"])
    assert info.frame_rate == pytest.approx(float(fps), abs=0.001)
    assert info.resolution == (video["width"], video["height"])
    assert video["sample_aspect_ratio"] in ("1:1", "N/A")
    assert (video["pix_fmt"], video["profile"]) == ("yuv420p", "High")
    codecs = [f"avc1.6400{video['level']:02x}", *([_SOUND] if "audio" in described else [])]
    assert info.codecs.split(",") == codecs
    assert info.audio == ("audio" if sounds else None)
    peak, average = rates(playlist, [file.stat().st_size for file in files])
    peak, average = (own + max((sound[at] for sound in sounds), default=0) for at, own in enumerate((peak, average)))
    check_rates(info, peak, average)
    starts = [sum(_lengths(playlist)[:number], Fraction(0)) for number in range(len(files) + 1)]
    segments = [known.get(file) or ffprobe.read_packets(tools, file) for file in files]
    for file, found, (begin, end) in zip(files, segments, pairwise(starts), strict=True):
        assert first_picture(file) == _IDR
        check_segment(found, begin, end, fps)
    check_audio_continuity([time for found in segments for time in found.audio_times])
    assert bool(segments[0].audio_times) == ("audio" in described)
    return tuple(starts), fps


def check_audio_continuity(sound: Sequence[int]) -> None:
    """Packets of sound without a seam, from one frame before the video on."""
    step = AAC_FRAME * CLOCK // RATE
    assert sound == [step * (number - 1) for number in range(len(sound))]


def check_segment(found: SegmentPackets, begin: Fraction, end: Fraction, fps: Fraction) -> None:
    """Its frames are those from `begin` to `end` and no other, a key frame first, and it has its sound."""
    assert found.key_frames[0] == 0
    assert found.presentation_times[0] == min(found.presentation_times)
    times = sorted(found.presentation_times)
    assert abs(Fraction(times[0], CLOCK) - begin) <= Fraction(1, CLOCK) + Fraction(1, 10**6)
    assert abs(Fraction(times[-1], CLOCK) + 1 / fps - end) <= Fraction(2, CLOCK) + Fraction(1, 10**6)
    assert all(
        abs(Fraction(after - before, CLOCK) - 1 / fps) <= Fraction(1, CLOCK) for before, after in pairwise(times)
    )
    if found.audio_times:
        # Cut where the pictures are decoded, which is up to two frames before they are shown.
        step, ahead = Fraction(AAC_FRAME, RATE), 2 / fps
        assert begin - ahead - step <= Fraction(found.audio_times[0], CLOCK) <= begin + step
        assert end - ahead - step <= Fraction(found.audio_times[-1], CLOCK) + step <= end + step


def check_i_frames(
    folder: Path, listed: m3u8.IFramePlaylist, starts: Sequence[Fraction], tools: FfmpegBinaries
) -> None:
    """Every byte range is one picture that stands alone."""
    place, info = folder / listed.uri, listed.iframe_stream_info
    playlist = check_media_playlist(place)
    assert playlist.is_i_frames_only
    assert _lengths(playlist) == [end - begin for begin, end in pairwise(starts)]
    parts = []
    for piece in playlist.segments:
        length, offset = map(int, piece.byterange.split("@"))
        parts.append((place.parent / piece.uri).read_bytes()[offset : offset + length])
        assert len(parts[-1]) == length
    assert pictures(b"".join(parts), tools) == [("I", *info.resolution)] * len(parts)
    check_rates(info, *rates(playlist, [len(part) for part in parts]))


def check_audio_track(place: Path, tools: FfmpegBinaries) -> tuple[float, float]:
    """A track of the audio group. Returns its peak and average bits per second."""
    playlist = check_media_playlist(place)
    files = [place.parent / piece.uri for piece in playlist.segments]
    assert set(_streams(files[0], tools)) == {"audio"}
    check_audio_continuity([time for file in files for time in ffprobe.read_packets(tools, file).audio_times])
    return rates(playlist, [file.stat().st_size for file in files])


def check_subtitles(place: Path, tools: FfmpegBinaries) -> None:
    """WebVTT that says where it lies on the clock of the segments (RFC 8216, 3.5)."""
    playlist = check_media_playlist(place)
    for piece in playlist.segments:
        text = (place.parent / piece.uri).read_text()
        assert text.startswith(f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{ffprobe.CLOCK_START * CLOCK},LOCAL:00:00:00.000\n")
        ffprobe.run_ffprobe(tools, "-show_packets", str(place.parent / piece.uri))


def check_media_playlist(place: Path) -> m3u8.M3U8:
    """What all media playlists have in common."""
    playlist = m3u8.load(str(place))
    assert (playlist.playlist_type, playlist.is_endlist, playlist.media_sequence) == ("vod", True, 0)
    assert all((place.parent / piece.uri).stat().st_size for piece in playlist.segments)
    assert not any(piece.discontinuity for piece in playlist.segments)
    for length in _lengths(playlist):
        assert int(length + Fraction(1, 2)) <= playlist.target_duration  # RFC 8216, 4.3.3.1
        assert 0 < length <= playlist.target_duration + Fraction(1, 2)  # Apple's rule
    return playlist


def check_all_files_are_listed(folder: Path) -> None:
    """No file but those that a playlist or the index of the storyboard names."""
    listed = {folder / "master.m3u8", folder / "storyboard" / "index.vtt"}
    for place in folder.rglob("*.m3u8"):
        playlist = m3u8.load(str(place))
        listed |= {place.parent / piece.uri for piece in playlist.segments}
        listed |= {place.parent / one.uri for one in (*playlist.playlists, *playlist.iframe_playlists)}
        listed |= {place.parent / media.uri for media in playlist.media if media.uri}
    listed |= set((folder / "storyboard").glob("*.jpg"))
    assert listed == {path for path in folder.rglob("*") if path.is_file()}


def rates(playlist: m3u8.M3U8, sizes: Iterable[int]) -> tuple[float, float]:
    """Bits per second: the worst run of half a target duration to one and a half, and all (RFC 8216, 4.3.4.2)."""
    lengths, bits = _lengths(playlist), [8 * size for size in sizes]
    average = sum(bits) / sum(lengths)
    runs = [(first, after) for after in range(1, len(bits) + 1) for first in range(max(0, after - 40), after)]
    found = [
        sum(bits[first:after]) / sum(lengths[first:after])
        for first, after in runs
        if Fraction(1, 2) <= sum(lengths[first:after]) / playlist.target_duration <= Fraction(3, 2)
    ]
    return float(max([average, *found])), float(average)


def check_rates(info: m3u8.StreamInfo, peak: float, average: float) -> None:
    """Both within ten per cent, and never less than what is needed at the worst (Apple's rule 9.14 and 9.15)."""
    assert peak <= info.bandwidth + 1 <= 1.1 * peak + 2
    assert 0.9 * average <= info.average_bandwidth <= 1.1 * average + 1


def first_picture(file: Path) -> int:
    """The type of the first NAL unit of a transport stream's video that is a picture."""
    stream = b""
    for packet in re.findall(rb"(?s)G.{187}", file.read_bytes()[: 188 * 100]):
        if packet[1] & 0x1F == 1 and packet[2] == 0 and packet[3] & 0x10:  # ffmpeg's first stream
            stream += packet[5 + packet[4] if packet[3] & 0x20 else 4 :]
    units = [unit & 0x1F for unit in re.findall(rb"(?s)\x00\x00\x01(.)", stream) for unit in unit if not unit & 0x80]
    return next(unit for unit in units if unit not in _PARAMETERS)


def _lengths(playlist: m3u8.M3U8) -> list[Fraction]:
    return [Fraction(str(piece.duration)) for piece in playlist.segments]


def _streams(file: Path, tools: FfmpegBinaries) -> dict[str, dict[str, object]]:
    """What ffprobe says of its streams, by their kind; there is one of a kind."""
    found = json.loads(ffprobe.run_ffprobe(tools, "-of", "json", "-show_streams", str(file)))["streams"]
    by_kind = {stream["codec_type"]: stream for stream in found}
    assert len(by_kind) == len(found)
    return by_kind


def pictures(part: bytes, tools: FfmpegBinaries) -> list[tuple[str, int, int]]:
    """Kind, width and height."""
    entries = "frame=pict_type,width,height"
    command = [tools.ffprobe, "-v", "error", "-f", "mpegts", "-select_streams", "v", "-show_entries", entries]
    done = subprocess.run(
        [*command, "-of", "json", "-i", "-"], input=part, capture_output=True, check=True, env=ENVIRONMENT
    )
    frames = json.loads(done.stdout)["frames"]
    return [(frame["pict_type"], frame["width"], frame["height"]) for frame in frames]
