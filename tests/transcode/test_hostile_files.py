"""Files that are not videos, have false headers or are truncated: rejected with a message or handled, in seconds."""

from __future__ import annotations

import os
import random
import re
import shutil
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support import sample_videos
from tests.support.video_builder import VideoBuilder
from transcode.errors import DiskFull, MediaError
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ffmpeg.inputs import INPUT_GUARDS
from transcode.probe import ffprobe
from transcode.probe.checks import MAX_DURATION_S
from transcode.probe.source import describe_source

NOT_A_VIDEO = "This file is not a video"
INCOMPLETE = "This video is incomplete"


@dataclass(frozen=True)
class Originals:
    """Intact files of 12 seconds, which tests damage."""

    mp4: Path  # with its index at the beginning
    late_index: Path
    mkv: Path
    avi: Path
    flv: Path
    wmv: Path
    ts: Path
    mpg: Path
    fragmented: Path


@pytest.fixture(scope="session")
def originals(tools: FfmpegBinaries, tmp_path_factory: pytest.TempPathFactory) -> Originals:
    folder = tmp_path_factory.mktemp("originals")
    names = "front.mp4 late.mp4 video.mkv video.avi video.flv video.wmv video.ts video.mpg parts.mp4"
    originals = Originals(*(folder / name for name in names.split()))
    video = [
        *sample_videos.video_input(seconds=12),
        *sample_videos.beep_input(12),
        *sample_videos.H264,
        *sample_videos.AAC,
    ]
    sample_videos.run_ffmpeg(tools, *video, "-movflags", "+faststart", str(originals.mp4))
    recoded = {
        originals.avi: [*sample_videos.MPEG4, *sample_videos.PCM],
        originals.wmv: ["-c:v", "wmv2", "-c:a", "wmav2"],
        originals.mpg: ["-s", "160x90", *sample_videos.MPEG2, "-c:a", "mp2", "-f", "vob"],
        originals.fragmented: ["-c", "copy", "-movflags", "frag_keyframe+empty_moov"],
    }
    copies = (originals.late_index, originals.mkv, originals.ts, originals.flv)
    outputs = {**{place: ["-c", "copy"] for place in copies}, **recoded}
    options = [option for place, how in outputs.items() for option in ("-map", "0", *how, str(place))]
    sample_videos.run_ffmpeg(tools, "-i", str(originals.mp4), *options)
    return originals


@pytest.fixture
def make_video(tools: FfmpegBinaries, tmp_path: Path) -> Callable[[bytes | Path, str], VideoBuilder]:
    """Return a function that prepares a video from these bytes, or a file's, under a name."""

    def build(content: bytes | Path, name: str = "video.mp4") -> VideoBuilder:
        source = tmp_path / name
        source.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        return VideoBuilder(tmp_path / "media", source, tools)

    return build


MakeVideo = Callable[..., VideoBuilder]


def rejection_message(video: VideoBuilder) -> str:
    """Probe a file that is rejected permanently; return the message."""
    with pytest.raises(MediaError) as caught:
        video.probe()
    assert caught.value.permanent
    assert not video.folder.exists()
    return caught.value.message


@pytest.mark.parametrize("name", ["video.mp4", "video.m3u8", "video.ffconcat", "video.mkv"])
def test_a_playlist_of_other_peoples_videos_is_refused_under_any_name(
    make_video: MakeVideo, originals: Originals, name: str
) -> None:
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:12\n#EXTINF:12,\n{originals.ts}\n#EXT-X-ENDLIST\n"
    concat = f"ffconcat version 1.0\nfile {originals.mp4}\n"
    for text in (playlist, concat):
        assert rejection_message(make_video(text.encode(), name)).startswith(NOT_A_VIDEO)


@pytest.mark.parametrize(
    "content",
    [b"hello\n" * 9999, bytes(300_000), os.urandom(300_000), b"\x1a\x45\xdf\xa3" + os.urandom(5000), b"RIFF"],
    ids=["text", "zeros", "noise", "a_beginning_of_matroska", "four_bytes"],
)
def test_a_file_that_is_not_a_video_is_rejected(make_video: MakeVideo, content: bytes) -> None:
    assert rejection_message(make_video(content)).startswith(NOT_A_VIDEO)


def test_an_empty_file_is_refused(make_video: MakeVideo) -> None:
    assert rejection_message(make_video(b"")) == "This file is empty."


@pytest.mark.parametrize("name", ["x.mp3", "x.m4a", "x.flac", "x.oga", "x.wav", "cover.m4a"])
def test_what_has_no_picture_is_refused(
    make_video: MakeVideo, tools: FfmpegBinaries, tmp_path: Path, name: str
) -> None:
    source, cover = tmp_path / name, tmp_path / "cover.jpg"
    sample_videos.run_ffmpeg(
        tools, *sample_videos.beep_input(1), *(["-c:a", "libvorbis"] if name == "x.oga" else []), str(source)
    )
    if source.stem == "cover":
        sample_videos.run_ffmpeg(tools, *sample_videos.video_input(seconds=0.04), "-frames:v", "1", str(cover))
        alone = tmp_path / "x.m4a"
        source.rename(alone)
        inputs = ["-i", str(alone), "-i", str(cover), "-map", "0", "-map", "1", "-c", "copy"]
        sample_videos.run_ffmpeg(tools, *inputs, "-disposition:v", "attached_pic", str(source))
    assert rejection_message(make_video(source)) == "This file has audio but no picture."


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.gif", "cover.mp4"])
def test_a_still_picture_is_refused(make_video: MakeVideo, tools: FfmpegBinaries, tmp_path: Path, name: str) -> None:
    only_cover = ["-c:v", "mjpeg", "-disposition:v", "attached_pic"] if name == "cover.mp4" else []
    sample_videos.run_ffmpeg(
        tools, *sample_videos.video_input(seconds=0.04), "-frames:v", "1", *only_cover, str(tmp_path / name)
    )
    assert rejection_message(make_video(tmp_path / name)) == "This file is an image, not a video."


@pytest.mark.parametrize("kind", ["mp4", "late_index", "mkv", "avi", "flv", "wmv"])
def test_an_upload_that_breaks_off_is_refused(make_video: MakeVideo, originals: Originals, kind: str) -> None:
    whole = getattr(originals, kind).read_bytes()
    assert rejection_message(make_video(whole[: len(whole) // 2])).startswith(INCOMPLETE)


@pytest.mark.parametrize("kind", ["ts", "mpg", "fragmented"])
def test_a_recording_that_breaks_off_is_as_long_as_what_there_is(
    make_video: MakeVideo, originals: Originals, kind: str
) -> None:
    whole = getattr(originals, kind).read_bytes()
    timeline = make_video(whole[: len(whole) // 2 + 77]).probe()
    assert 5 < timeline.duration < 7.1
    assert timeline.warning == ""


def test_a_recording_waits_until_there_is_room_for_a_copy_of_it(
    make_video: MakeVideo, originals: Originals, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make_video(originals.ts)
    free = video.source.stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=free))
    with pytest.raises(DiskFull):
        video.probe()
    monkeypatch.undo()
    assert video.probe().remuxed


def _overwrite(whole: bytes, begin: float, end: float, filling: Callable[[int], bytes] = bytes) -> bytes:
    """Overwrite a part of a file, from one share of its size to another."""
    start, stop = int(len(whole) * begin), int(len(whole) * end)
    return whole[:start] + filling(stop - start) + whole[stop:]


@pytest.mark.parametrize("kind", ["ts", "mpg", "fragmented"])
def test_a_partly_damaged_recording_is_accepted_with_a_warning(
    make_video: MakeVideo, originals: Originals, kind: str
) -> None:
    damaged = _overwrite(getattr(originals, kind).read_bytes(), 0.55, 0.95)
    timeline = make_video(damaged).probe()
    assert 5 < timeline.duration < 12.1
    assert re.fullmatch(r"About [34]\d % of the file cannot be read; the rest was imported.", timeline.warning)


@pytest.mark.parametrize("filling", [os.urandom, bytes], ids=["noise", "zeros"])
@pytest.mark.parametrize("kind", ["ts", "mpg", "flv"])
def test_a_beginning_of_a_video_with_garbage_behind_it_is_refused(
    make_video: MakeVideo, originals: Originals, kind: str, filling: Callable[[int], bytes]
) -> None:
    assert re.match(
        r"This video is damaged: (only about \d+ %|hardly anything) of the file can be read\.|This video is incomplete",
        rejection_message(make_video(_overwrite(getattr(originals, kind).read_bytes(), 0.2, 1, filling))),
    )


def _pes_offsets(ts: bytes | bytearray, stream: int) -> list[int]:
    """Return the offsets of a stream's PES packets in a transport stream (ISO/IEC 13818-1, 2.4.3)."""
    payloads = (at + 4 + (1 + ts[at + 4] if ts[at + 3] & 0x20 else 0) for at in range(0, len(ts), 188))
    return [at for at in payloads if ts[at : at + 4] == bytes([0, 0, 1, stream])]


@pytest.mark.parametrize("stream", [0xE0, 0xC0], ids=["picture", "sound"])
def test_a_flipped_bit_in_a_timestamp_does_not_extend_a_recording(
    make_video: MakeVideo, originals: Originals, stream: int
) -> None:
    damaged = bytearray(originals.ts.read_bytes())
    headers = _pes_offsets(damaged, stream)
    damaged[headers[len(headers) // 2] + 9] ^= 0x08  # the highest bit of 33: thirteen hours
    assert make_video(bytes(damaged)).probe().duration == pytest.approx(12, abs=0.1)


def test_broken_sound_does_not_end_a_recording(make_video: MakeVideo, originals: Originals) -> None:
    damaged = bytearray(originals.ts.read_bytes())
    headers = _pes_offsets(damaged, 0xC0)
    for header in headers[2:4]:
        damaged[header + 14 : header + 20] = bytes(6)  # the header of an AAC frame
    assert make_video(bytes(damaged)).probe().duration == pytest.approx(12, abs=0.1)


def test_a_video_whose_times_are_wild_is_refused(make_video: MakeVideo, originals: Originals) -> None:
    damaged, place, last = bytearray(originals.flv.read_bytes()), 13, 0
    while place + 11 < len(damaged):
        last = place if damaged[place] == 9 and damaged[place + 12] == 1 else last  # a tag with a picture
        place += 15 + int.from_bytes(damaged[place + 1 : place + 4], "big")
    damaged[last + 7] = 1  # 2 ** 24 milliseconds
    assert rejection_message(make_video(bytes(damaged))) == "This video is damaged: its timestamps span 4:39:49."


@pytest.mark.parametrize("spoil", [random.Random(1).randbytes, bytes], ids=["noise", "zeros"])
def test_data_that_turns_into_garbage_fails_with_its_place(
    make_video: MakeVideo, originals: Originals, spoil: Callable[[int], bytes]
) -> None:
    whole = originals.mp4.read_bytes()
    begin = whole.index(b"mdat") + 4 + (len(whole) - whole.index(b"mdat")) // 6
    video = make_video(whole[:begin] + spoil(len(whole) - begin))
    video.probe()
    video.run_task("audio")
    video.run_task("chunk", 0)  # its last frame stands for what cannot be decoded
    for kind, index in (("chunk", 1), ("segment", 2)):
        with pytest.raises(MediaError, match=r"is damaged: nothing can be decoded at 0:0[48]\.") as caught:
            video.run_task(kind, index, "480p")
        assert caught.value.permanent
    assert not video.segment_paths()[2].exists()


def test_a_picture_that_cannot_be_decoded_is_refused(make_video: MakeVideo, originals: Originals) -> None:
    strange = originals.mkv.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/NEW")
    assert rejection_message(make_video(strange)) == "The picture of this video uses a codec that is not supported."


def test_sound_that_cannot_be_decoded_is_left_out(make_video: MakeVideo, originals: Originals) -> None:
    video = make_video(originals.mkv.read_bytes().replace(b"A_AAC", b"A_NEW"))
    assert video.probe().audio == ()
    video.run_task("chunk", 0)
    assert video.segment_paths()[0].exists()


def _scrambled_packets(ts: bytes) -> bytes:
    """Mark the packets of picture and audio as scrambled."""
    data = bytearray(ts)
    for at in range(0, len(data), 188):
        data[at + 3] |= 0x80 if data[at + 1] & 0x1F == 1 else 0
    return bytes(data)


_CODEC_LIST, _ENCRYPTION = "4052d1861d31d011a3a400a0c90348f6", "14e68a292226174cb935dae07ee9289c"
_ENCRYPTED: dict[str, Callable[[bytes], bytes]] = {
    "wmv": lambda data: data.replace(bytes.fromhex(_CODEC_LIST), bytes.fromhex(_ENCRYPTION)),
    "ts": _scrambled_packets,
    "mpg": lambda data: re.sub(rb"(?s)(\x00\x00\x01[\xc0-\xef]..)[\x80-\x8f]", b"\\g<1>\xb0", data),
}


@pytest.mark.parametrize("kind", ["mp4", *_ENCRYPTED])
def test_an_encrypted_video_is_refused(
    make_video: MakeVideo, originals: Originals, kind: str, tools: FfmpegBinaries, tmp_path: Path
) -> None:
    source = tmp_path / f"encrypted.{kind}"
    if kind in _ENCRYPTED:
        source.write_bytes(_ENCRYPTED[kind](getattr(originals, kind).read_bytes()))
    else:
        keys = ["-encryption_key", "ab" * 16, "-encryption_kid", "cd" * 16]
        scheme = ["-c", "copy", "-encryption_scheme", "cenc-aes-ctr", *keys]
        sample_videos.run_ffmpeg(tools, "-i", str(originals.mp4), *scheme, str(source))
    assert rejection_message(make_video(source)) == "This video is encrypted, so it cannot be played here."


def test_a_picture_of_30000_by_30000_is_refused(make_video: MakeVideo, tools: FfmpegBinaries, tmp_path: Path) -> None:
    source = tmp_path / "small.mkv"
    sample_videos.run_ffmpeg(tools, *sample_videos.video_input(seconds=0.2), "-c:v", "ffv1", str(source))
    whole = bytearray(source.read_bytes())
    place = whole.index(b"\xb0\x81\x40\xba\x81\x24")  # PixelWidth 64, PixelHeight 36, in one byte each
    larger = whole[:place] + b"\xb0\x82\x75\x30\xba\x82\x75\x30" + whole[place + 6 :]
    for element in (b"\xe0", b"\xae", b"\x16\x54\xae\x6b"):  # Video, TrackEntry, Tracks: two bytes longer
        _enlarge_element(larger, larger.rindex(element, 0, place) + len(element), 2)
    assert "is too large" in rejection_message(make_video(bytes(larger), "video.mkv"))


def _enlarge_element(data: bytearray, place: int, by: int) -> None:
    """Increase the size of an EBML element."""
    length = 9 - data[place].bit_length()
    mark = 1 << (7 * length)
    size = int.from_bytes(data[place : place + length], "big") - mark + by
    data[place : place + length] = (size + mark).to_bytes(length, "big")


def test_a_thousand_streams_are_refused(make_video: MakeVideo, tools: FfmpegBinaries, tmp_path: Path) -> None:
    one, thousand = tmp_path / "one.mkv", tmp_path / "thousand.mkv"
    sample_videos.run_ffmpeg(tools, *sample_videos.beep_input(0.1), *sample_videos.PCM, str(one))
    maps = [option for _ in range(1000) for option in ("-map", "0")]
    sample_videos.run_ffmpeg(tools, "-i", str(one), *maps, "-c", "copy", str(thousand))
    assert rejection_message(make_video(thousand, "video.mkv")) == "This file has too many streams."


def _declare_mkv_duration(mkv: Path, hours: int) -> bytes:
    """Set the duration in the header of a Matroska file, and remove those of its streams."""
    data = bytearray(mkv.read_bytes())
    struct.pack_into(">d", data, data.index(b"\x44\x89\x88") + 3, hours * 3_600_000.0)
    return bytes(data).replace(b"DURATION", b"DURATI0N")


def test_a_header_that_promises_10000_hours_is_refused(make_video: MakeVideo, originals: Originals) -> None:
    video = make_video(_declare_mkv_duration(originals.mkv, 10_000), "video.mkv")
    assert rejection_message(video) == "This video claims to be longer than 24 hours."


def _declare_mp4_duration(mp4: Path, hours: int, boxes: dict[bytes, int]) -> bytes:
    """Set the duration in all of these boxes, in milliseconds; the values are offsets within the boxes."""
    data = bytearray(mp4.read_bytes())
    for name, offset in boxes.items():
        place = -1
        while (place := data.find(name, place + 1)) >= 0:
            struct.pack_into(">I", data, place + 4 + offset, min(0xFFFFFFFE, hours * 3_600_000))
    return bytes(data)


def test_an_mp4_claiming_10000_hours_is_refused_or_measured(make_video: MakeVideo, originals: Originals) -> None:
    """ffmpeg 5 trusts such a header, later versions the table of samples after it."""
    video = make_video(_declare_mp4_duration(originals.mp4, 10_000, {b"mvhd": 16, b"tkhd": 20, b"mdhd": 16}))
    if describe_source(video.source, video.tools).declared_duration > MAX_DURATION_S:
        assert rejection_message(video) == "This video claims to be longer than 24 hours."
    else:
        assert video.probe().duration == pytest.approx(12, abs=0.1)


def test_an_mp4_whose_samples_last_for_1000_hours_is_refused(make_video: MakeVideo, originals: Originals) -> None:
    data = bytearray(_declare_mp4_duration(originals.mp4, 1000, {b"mvhd": 16, b"tkhd": 20, b"mdhd": 16, b"elst": 8}))
    struct.pack_into(">I", data, data.index(b"stts") + 16, 1000 * 3600 * 12800 // 300)  # of each of 300 pictures
    assert rejection_message(make_video(bytes(data))) == "This video claims to be longer than 24 hours."


def test_a_header_that_promises_20_hours_does_not_make_the_video_longer(
    make_video: MakeVideo, originals: Originals
) -> None:
    assert make_video(_declare_mkv_duration(originals.mkv, 20), "video.mkv").probe().duration == pytest.approx(
        12, abs=0.1
    )


@pytest.mark.parametrize(
    "name", ["-i.mp4", 'it\'s "a"\nfilm.mp4', "%04d.mp4", "a:b?c#d.mp4", "ünïcode 🎬.mp4", "|x.mp4"]
)
def test_file_names_are_never_interpreted(make_video: MakeVideo, originals: Originals, name: str) -> None:
    assert make_video(originals.mp4, name).probe().segment_count == 3


def test_a_missing_file_may_be_probed_again(make_video: MakeVideo, originals: Originals) -> None:
    video = make_video(originals.mp4)
    video.source.unlink()
    with pytest.raises(MediaError) as caught:
        video.probe()
    assert not caught.value.permanent


def test_a_file_that_is_read_too_slowly_may_be_probed_again(
    make_video: MakeVideo, originals: Originals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffprobe, "_TIMEOUT_S", 0.2)
    video, busy = make_video(originals.mp4), tmp_path / "busy"
    busy.write_text("#!/bin/sh\nexec sleep 60\n")
    busy.chmod(0o755)
    video.tools = FfmpegBinaries(str(busy), str(busy))
    with pytest.raises(MediaError, match="Reading the video took too long") as caught:
        video.probe()
    assert not caught.value.permanent


def _make_logging_wrapper(program: str, folder: Path) -> Path:
    """Write a script that logs its arguments, one per line, and executes the real program; return its path."""
    script = folder / Path(program).name
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" "---" >> {folder}/calls\nexec {program} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def test_no_call_opens_a_source_without_its_limits(originals: Originals, tools: FfmpegBinaries, tmp_path: Path) -> None:
    words, source = tmp_path / "words.srt", tmp_path / "video.mkv"
    words.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    inputs = ["-i", str(originals.mkv), "-i", str(words)]
    maps = ["-map", "0", "-map", "0:a", "-map", "1", "-c", "copy", "-c:s", "srt", "-t", "5"]
    sample_videos.run_ffmpeg(tools, *inputs, *maps, *sample_videos.LIVE, str(source))
    logging_binaries = FfmpegBinaries(
        str(_make_logging_wrapper(tools.ffmpeg, tmp_path)), str(_make_logging_wrapper(tools.ffprobe, tmp_path))
    )
    video = VideoBuilder(tmp_path / "media", source, logging_binaries)
    video.probe()
    video.run_task("segment", 1, "480p")
    video.build()
    opened = 0
    for call in (tmp_path / "calls").read_text().split("---\n"):
        arguments = call.splitlines()
        for place, argument in enumerate(arguments):
            if argument.endswith(("/video.mkv", "/source.mkv")):
                assert argument.startswith("file:")
                options = "\n".join(arguments[:place]).rpartition("\n-i\nfile:")[2]
                assert "\n".join(INPUT_GUARDS) in options
                opened += 1
    assert opened >= 10
