"""Audio and subtitles: which of a source's are published, with which labels, and the warnings about the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import m3u8
import pytest

from tests.support import ffprobe, hls_checks, sample_videos
from tests.support.video_builder import VideoBuilder
from transcode import paths
from transcode.ffmpeg import downmix
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.presentation import AudioTrack, Presentation, Role
from transcode.probe import tracks

PICTURE = (*sample_videos.video_input("5", 3), *sample_videos.H264)
MakeVideo = Callable[..., VideoBuilder]


@pytest.fixture
def make_video(tools: FfmpegBinaries, tmp_path: Path) -> MakeVideo:
    """Return a function that makes a source of these inputs and options; its video is not probed yet."""

    def build(name: str, inputs: Sequence[str], *options: str) -> VideoBuilder:
        source = tmp_path / name
        picture = sample_videos.video_input("5", 3)
        sample_videos.run_ffmpeg(tools, *picture, *inputs, "-map", "0", *sample_videos.H264, *options, str(source))
        return VideoBuilder(tmp_path / "media", source, tools)

    return build


def tone(pitch: int = 440, channels: int = 1, seconds: float = 3) -> list[str]:
    """Return an audio input whose channels have no layout."""
    expression = "|".join([f"0.3*sin(2*PI*{pitch}*t)"] * channels)
    return ["-f", "lavfi", "-i", f"aevalsrc='{expression}':d={seconds}:s=48000"]


def peak_samples(video: VideoBuilder, track: str = "480p") -> tuple[int, int]:
    """Return the loudest samples of left and right, except at both ends, where the encoder overshoots."""
    samples = ffprobe.decode_audio(video.tools, "-i", str(video.folder / track / "index.m3u8"))[10_000:-10_000]
    return max(map(abs, samples[::2])), max(map(abs, samples[1::2]))


def media_lines(video: VideoBuilder, kind: str) -> list[str]:
    """Return the master playlist's EXT-X-MEDIA lines of one kind."""
    lines = (video.folder / "master.m3u8").read_text().splitlines()
    return [line.removeprefix("#EXT-X-MEDIA:") for line in lines if line.startswith(f"#EXT-X-MEDIA:TYPE={kind}")]


# Channels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [3, 4, 5, 7, 8, 10, 12, 14, 16, 24])
def test_sound_of_a_usual_number_of_channels_is_mixed(make_video: MakeVideo, channels: int) -> None:
    video = make_video("video.mov", tone(channels=channels), "-map", "1", *sample_videos.PCM)
    assert video.build().warning == ""
    left, right = peak_samples(video)
    assert min(left, right) > 5000


@pytest.mark.parametrize("channels", [9, 11])
def test_channels_in_unknown_order_are_all_heard_if_there_is_no_other(make_video: MakeVideo, channels: int) -> None:
    video = make_video("video.mov", tone(channels=channels), "-map", "1", *sample_videos.PCM)
    assert video.build().warning == (
        f"The order of the {channels} audio channels is unknown: all are heard on both sides."
    )
    left, right = peak_samples(video)
    assert left == pytest.approx(right, abs=9)
    assert left > 5000


def test_a_track_without_a_known_order_is_left_out_alone(make_video: MakeVideo) -> None:
    inputs = [*tone(300), *tone(400, 9), *tone(500)]
    video = make_video(
        "video.mov", inputs, *("-map", "1", "-map", "2", "-map", "3"), *sample_videos.AAC, "-c:a:1", "pcm_s16le"
    )
    timeline = video.build()
    assert [track.index for track in timeline.audio] == [1, 3]
    assert timeline.warning == (
        "Audio was left out because the order of its channels is unknown: pcm_s16le (9 channels)."
    )
    assert video.results["tracks"] == {"tracks": [1]}
    hls_checks.check(video.folder, video.tools)


def test_a_mono_track_of_one_side_is_heard_on_both(make_video: MakeVideo) -> None:
    video = make_video("video.mov", tone(), "-map", "1", "-af", "channelmap=0:FL", *sample_videos.PCM)
    video.build()
    left, right = peak_samples(video)
    assert left == pytest.approx(right, abs=9)
    assert left > 5000


def test_ambisonic_sound_keeps_its_sides(make_video: MakeVideo) -> None:
    """First order in ACN order, all of it from the left."""
    sound = ["-f", "lavfi", "-i", "aevalsrc='0.2*sin(900*t)|0.2*sin(900*t)|0|0':d=3:s=48000"]
    video = make_video("video.mkv", sound, "-map", "1", "-c:a", "libopus", "-mapping_family", "2", "-b:a", "256k")
    assert video.build().audio[0].layout == "ambisonic 1"
    left, right = peak_samples(video)
    assert left > 5 * right


def test_a_layout_that_lists_its_places_is_mixed_by_them() -> None:
    places = AudioTrack(1, 9, layout="9 channels (FL+FR+FC+LFE+SL+SR+TFL+TFR+BC)")
    assert downmix.stereo_downmix_filter(places) == (
        "pan=stereo|c0=1.0*c0+0.7071*c2+0.7071*c4+0.7071*c6+0.7071*c8|c1=1.0*c1+0.7071*c2+0.7071*c5+0.7071*c7+0.7071*c8"
    )


# Codecs ---------------------------------------------------------------------------------------------------------

CODECS = {
    "eac3": ("mkv", ["-ac", "6", "-c:a", "eac3"]),
    "truehd": ("mkv", ["-ac", "6", "-c:a", "truehd", "-strict", "-2"]),
    "dts": ("mkv", ["-ac", "6", "-c:a", "dca", "-strict", "-2"]),
    "opus_surround": ("mkv", ["-ac", "6", "-c:a", "libopus", "-b:a", "256k"]),
    "vorbis_8": ("mkv", ["-ac", "8", "-c:a", "libvorbis"]),
    "vbr_mp3": ("avi", ["-c:a", "libmp3lame", "-q:a", "4"]),
    "alac_96k": ("mov", ["-ar", "96000", "-c:a", "alac"]),
    "float_384k": ("mov", ["-ar", "384000", "-c:a", "pcm_f64le"]),
    "u8_8k": ("avi", ["-ar", "8000", "-c:a", "pcm_u8"]),
    "mulaw": ("mov", ["-ar", "8000", "-c:a", "pcm_mulaw"]),
    "s24be": ("mov", ["-c:a", "pcm_s24be"]),
    "adpcm": ("avi", ["-c:a", "adpcm_ima_wav"]),
    "flac_11025": ("mkv", ["-ar", "11025", "-c:a", "flac"]),
}


@pytest.mark.parametrize("codec", CODECS)
def test_sound_of_every_codec_and_rate_is_heard_in_its_time(tools: FfmpegBinaries, tmp_path: Path, codec: str) -> None:
    suffix, options = CODECS[codec]
    source = tmp_path / f"video.{suffix}"
    sample_videos.run_ffmpeg(
        tools,
        *sample_videos.video_input("5", 3),
        *sample_videos.beep_input(3),
        *sample_videos.MPEG4,
        *options,
        str(source),
    )
    video = VideoBuilder(tmp_path / "media", source, tools)
    assert video.build().warning == ""
    samples = ffprobe.decode_audio(tools, "-i", str(video.folder / "480p" / "index.m3u8"))[::2]
    late = 0.2 if codec == "vbr_mp3" else 0  # the picture of the AVI begins a frame late, as MP3 begins before its time
    assert ffprobe.beep_times(samples) == pytest.approx([0 + late, 1 + late, 2 + late], abs=0.02 + late)


def test_a_track_that_cannot_be_decoded_is_left_out_alone(make_video: MakeVideo, tools: FfmpegBinaries) -> None:
    codecs = ["-c:a", "aac", "-c:a:1", "libvorbis", "-metadata:s:a:1", "language=fra"]
    video = make_video("video.mkv", [*tone(300), *tone(400)], *("-map", "1", "-map", "2", "-map", "1"), *codecs)
    video.source.write_bytes(video.source.read_bytes().replace(b"A_VORBIS", b"A_V0RBIS"))
    timeline = video.build()
    assert len(timeline.audio) == 2
    assert timeline.warning == "Audio that cannot be decoded was left out: fra (unknown)."
    hls_checks.check(video.folder, tools)


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_a_video_whose_only_sound_cannot_be_decoded_is_silent(
    make_video: MakeVideo, tools: FfmpegBinaries, suffix: str
) -> None:
    """A decoder exists, but the data makes no sense to it."""
    video = make_video(f"video.{suffix}", tone(), "-map", "1", "-c:a", "ac3")
    data = video.source.read_bytes()
    video.source.write_bytes(data.replace(b"\x0b\x77", b"\x0b\x78"))  # the sync word of every frame
    timeline = video.build()
    assert timeline.audio == ()
    assert timeline.warning.startswith("The video is silent because its audio cannot be decoded: ")
    hls_checks.check(video.folder, tools)


def test_an_empty_track_and_a_late_one_are_no_broken_ones(make_video: MakeVideo, tools: FfmpegBinaries) -> None:
    inputs = [*tone(300), "-itsoffset", "2.5", *tone(400, seconds=0.5), *tone(500)]
    filters = ["-filter:a:2", "aselect=0"]
    video = make_video("video.mkv", inputs, *("-map", "1", "-map", "2", "-map", "3"), *filters, *sample_videos.AAC)
    timeline = video.build()
    assert (len(timeline.audio), timeline.warning) == (3, "")
    hls_checks.check(video.folder, tools)


# Roles ----------------------------------------------------------------------------------------------------------


def test_the_main_sound_is_the_default_and_the_others_say_what_they_are(
    make_video: MakeVideo, tools: FfmpegBinaries
) -> None:
    inputs = [*tone(300), *tone(400), *tone(500), *tone(600), *tone(700)]
    maps = [option for number in (1, 2, 3, 4, 5) for option in ("-map", str(number))]
    tags = [f"-metadata:s:a:{number}" for number in range(5)]
    languages = zip(tags, [f"language={code}" for code in ("eng", "eng", "eng", "ger", "eng")], strict=True)
    flags = ["visual_impaired+default", "comment", "0", "dub", "hearing_impaired"]
    video = make_video(
        "video.mkv", inputs, *maps, *(option for pair in languages for option in pair),
        *(option for number, flag in enumerate(flags) for option in (f"-disposition:a:{number}", flag)),
        *sample_videos.AAC,
    )  # fmt: skip
    timeline = video.build()
    assert timeline.audio[0].index == 3
    group = 'TYPE=AUDIO,GROUP-ID="audio",NAME='
    described = 'CHARACTERISTICS="public.accessibility.describes-video"'
    assert [line.partition(',CHANNELS="2"')[0] for line in media_lines(video, "AUDIO")] == [
        f'{group}"English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES',
        f'{group}"Deutsch",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES',
        f'{group}"English (for the hard of hearing)",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=NO',
        f'{group}"English (audio description)",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,{described}',
        f'{group}"English (commentary)",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=NO',
    ]
    hls_checks.check(video.folder, tools)


def stream(index: int = 1, title: str = "", *flags: str, **fields: object) -> dict[str, object]:
    """Return an audio stream as ffprobe describes it."""
    disposition = dict.fromkeys(flags, 1)
    described = {"codec_type": "audio", "codec_name": "aac", "channels": 2, "disposition": disposition}
    return {"index": index, **described, "tags": {"title": title}, **fields}


@pytest.mark.parametrize(
    ("title", "role"),
    [
        ("Audio Description", Role.DESCRIPTION), ("English - DVS", Role.DESCRIPTION), ("Hörfilm", Role.DESCRIPTION),
        ("Director's Commentary", Role.COMMENTARY), ("Audiokommentar", Role.COMMENTARY),
        ("English (SDH)", Role.HEARING_IMPAIRED), ("Für Gehörlose", Role.HEARING_IMPAIRED),
        ("Music & Effects", Role.EFFECTS), ("M&E", Role.EFFECTS), ("English", Role.NONE), ("", Role.NONE),
    ],
)  # fmt: skip
def test_titles_say_what_a_track_is_for(title: str, role: Role) -> None:
    assert tracks.role_of(stream(title=title)) is role


@pytest.mark.parametrize(
    ("flags", "main"),
    [
        ([(), ("default",)], 1), ([("dub",), ("original",)], 1), ([("dub", "default"), ("original",)], 0),
        ([("comment", "default"), ()], 1), ([("visual_impaired",), ("comment",)], 0), ([("clean_effects",), ()], 1),
        ([("hearing_impaired", "default"), ()], 1), ([("comment",), ("hearing_impaired",)], 1), ([(), ()], 0),
    ],
)  # fmt: skip
def test_the_main_sound_is_the_videos_own(flags: list[tuple[str, ...]], main: int) -> None:
    streams = [stream(index, "", *names) for index, names in enumerate(flags)]
    assert tracks.sort_audio_streams(streams)[0]["index"] == main


SUBTITLES = "1\n00:00:00,500 --> 00:00:01,500\nHello\n"


def test_subtitles_say_whom_they_are_for(make_video: MakeVideo, tmp_path: Path, tools: FfmpegBinaries) -> None:
    words = tmp_path / "words.srt"
    words.write_text(SUBTITLES)
    flags = ["0", "hearing_impaired", "forced", "comment"]
    maps = [option for _ in flags for option in ("-map", "1")]
    options = [option for number, flag in enumerate(flags) for option in (f"-disposition:s:{number}", flag)]
    languages = [option for number in range(4) for option in (f"-metadata:s:s:{number}", "language=eng")]
    video = make_video("video.mkv", ["-i", str(words)], *maps, "-c:s", "srt", *options, *languages)
    video.build()
    group = 'TYPE=SUBTITLES,GROUP-ID="subs",NAME='
    sdh = "public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound"
    assert [line.partition(",URI")[0] for line in media_lines(video, "SUBTITLES")] == [
        f'{group}"English",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO',
        f'{group}"English (SDH)",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,CHARACTERISTICS="{sdh}"',
        f'{group}"English (forced)",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES',
        f'{group}"English (commentary)",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=NO,FORCED=NO',
    ]
    hls_checks.check(video.folder, tools)


# Programmes, bitmap subtitles, mono pairs -------------------------------------------------------------------------


def test_a_broadcast_has_the_sound_of_its_own_programme_only(make_video: MakeVideo, tools: FfmpegBinaries) -> None:
    picture = sample_videos.video_input("5", 3)
    programmes = ["-program", "title=One:st=0:st=1", "-program", "title=Two:st=2:st=3"]
    video = make_video("video.ts", [*tone(300), *picture, *tone(900)], *("-map", "1", "-map", "2", "-map", "3"),
                "-c:a", "mp2", *programmes)  # fmt: skip
    timeline = video.build()
    assert len(timeline.audio) == 1
    assert timeline.warning == "This recording holds 2 programmes; only one of them was imported."
    hls_checks.check(video.folder, tools)


def test_subtitles_that_are_pictures_are_left_out_with_a_warning(
    make_video: MakeVideo, tmp_path: Path, tools: FfmpegBinaries
) -> None:
    words = tmp_path / "words.srt"
    words.write_text(SUBTITLES)
    video = make_video("video.mkv", ["-i", str(words)], "-map", "1", "-c:s", "srt", "-metadata:s:s:0", "language=ger")
    video.source.write_bytes(video.source.read_bytes().replace(b"S_TEXT/UTF8", b"S_HDMV/PGS\0"))
    timeline = video.build()
    assert timeline.subtitles == ()
    assert timeline.warning == ("Subtitles that are not stored as text were left out: ger (hdmv_pgs_subtitle).")
    hls_checks.check(video.folder, tools)


LEFT_AND_RIGHT = ["-f", "lavfi", "-i", "aevalsrc='0.5*sin(2*PI*500*t)|0.05*sin(2*PI*900*t)':d=3:s=48000:c=stereo"]
SPLIT = ["-filter_complex", "[1:a]channelsplit[l][r]", "-map", "[l]", "-map", "[r]"]
PLAIN = ["-filter_complex", "[1:a]pan=mono|c0=c0[l];[1:a]pan=mono|c0=c1[r]", "-map", "[l]", "-map", "[r]"]
TITLES = ["-metadata:s:a:0", "title=Left", "-metadata:s:a:1", "title=Right"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("video.mov", [*SPLIT, *sample_videos.PCM]), ("video.mov", [*PLAIN, *sample_videos.PCM]),
        ("video.mkv", [*PLAIN, *sample_videos.AAC, *TITLES]),
        ("video.mov", [*SPLIT, *sample_videos.PCM, "-movflags", "frag_keyframe+empty_moov"]),
    ],
    ids=["layouts", "camera", "titles", "remuxed"],
)  # fmt: skip
def test_two_mono_tracks_that_are_left_and_right_are_one_sound(
    make_video: MakeVideo, tools: FfmpegBinaries, name: str, options: list[str]
) -> None:
    video = make_video(name, LEFT_AND_RIGHT, *options)
    video.probe()
    video.run_task("segment", 0, "480p")  # alone, before there is any other sound
    assert len(video.presentation.audio) == 1
    alone = peak_samples(video)
    video.build()
    for left, right in (alone, peak_samples(video)):
        assert 15_000 < left < 17_500
        assert 1200 < right < 2400
    hls_checks.check(video.folder, tools)


@pytest.mark.parametrize(
    "labels",
    [
        [{"title": "Left"}, {"title": "Left"}], [{"language": "eng"}, {"language": "ger"}],
        [{"title": "Mic"}, {"title": "Boom"}], [{"title": "Right"}, {"title": "Left"}],
    ],
)  # fmt: skip
def test_mono_tracks_that_are_something_else_stay_two(labels: list[dict[str, str]]) -> None:
    found = [stream(number, channels=1, codec_name="pcm_s16le", tags=tags) for number, tags in enumerate(labels, 1)]
    assert [track.indexes for track in tracks.build_audio_tracks(found)] == [(1,), (2,)]


def test_titles_of_any_kind_become_names(make_video: MakeVideo, tools: FfmpegBinaries) -> None:
    titles = ['A "quoted" one', "Two\nlines\r\n#EXTM3U", "x" * 65536, "Same", "Same", "\u202e\x07", "üñí 🎬"]
    maps = [option for _ in titles for option in ("-map", "1")]
    names = [option for number, title in enumerate(titles) for option in (f"-metadata:s:a:{number}", f"title={title}")]
    video = make_video("video.mkv", tone(), *maps, *sample_videos.AAC, *names)
    video.build()
    media = m3u8.load(str(video.folder / "master.m3u8")).media
    assert [one.name for one in media] == [
        "A 'quoted' one", "Two lines #EXTM3U", "x" * 100, "Same", "Same 2", "Audio 6", "üñí 🎬",
    ]  # fmt: skip


def test_forty_tracks_are_all_there(make_video: MakeVideo) -> None:
    maps = [option for _ in range(40) for option in ("-map", "1")]
    video = make_video("video.mkv", tone(), *maps, *sample_videos.AAC)
    video.build()
    names = [one.name for one in m3u8.load(str(video.folder / "master.m3u8")).media]
    assert len(set(names)) == 40


# Videos of the previous version ----------------------------------------------------------------------------------

STORED = """{"version": 1, "grid": {"fps": "5", "frames": 15}, "renditions": [
{"name": "480p", "width": 64, "height": 36, "crf": 23.0, "preset": "veryfast"}], "video": {"index": 0, "width": 64,
"height": 36}, "audio": [{"index": 1, "channels": 6, "language": "eng", "title": ""}], "subtitles": [{"index": 2,
"language": "eng", "title": "", "forced": false}], "origin": 0.0, "file_start": 0.0, "remuxed": true}"""


def test_a_timeline_of_the_version_before_is_readable(make_video: MakeVideo) -> None:
    known = json.loads(STORED)
    video = make_video("video.mkv", tone(), "-map", "1", *sample_videos.AAC)
    known["renditions"] = video.probe().as_json()["renditions"]
    timeline = Presentation.from_json(known)
    assert (timeline.audio[0].layout, timeline.audio[0].role, timeline.audio[0].right_index) == ("", "", None)
    assert (timeline.subtitles[0].role, timeline.copied, timeline.warning) == ("", (), "")
    assert Presentation.from_json(json.loads(json.dumps(timeline.as_json()))) == timeline


def test_a_working_copy_for_an_older_version_keeps_its_stream_order(
    make_video: MakeVideo, tools: FfmpegBinaries
) -> None:
    """In that order, commentary that is marked as default came first."""
    flags = ["-disposition:a:0", "0", "-disposition:a:1", "default+comment"]
    video = make_video(
        "video.mkv",
        [*tone(300), *tone(2000)],
        *("-map", "1", "-map", "2"),
        *flags,
        *sample_videos.AAC,
        *sample_videos.LIVE,
    )
    timeline = video.probe()
    assert (timeline.remuxed, timeline.copied) == (True, (0, 1, 2))
    assert video.presentation_json is not None
    del video.presentation_json["copied"]
    paths.remuxed_path(video.root, 1).unlink()
    video.probe()
    copy = paths.remuxed_path(video.root, 1)
    samples = ffprobe.decode_audio(tools, "-i", str(copy))  # of its first sound
    crossings = sum(earlier < 0 <= later for earlier, later in pairwise(samples))
    assert crossings > 3000


def test_a_track_that_fails_keeps_no_other_from_being_made(make_video: MakeVideo) -> None:
    video = make_video(
        "video.mkv", [*tone(300), *tone(400), *tone(500)], *("-map", "1", "-map", "2", "-map", "3"), *sample_videos.AAC
    )
    video.probe()
    assert video.presentation_json is not None
    video.presentation_json["audio"][1]["index"] = 77  # no such stream exists
    video.encode_audio()
    video.encode_chunks()
    assert video.run_task("tracks") == {"tracks": [2]}
    assert not (video.folder / "audio1" / "index.m3u8").exists()
    assert video.run_task("finish")["audio"] == [2]
