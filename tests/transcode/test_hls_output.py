"""What is published of a film, against RFC 8216 and Apple's HLS authoring specification."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import m3u8
import pytest

from tests.support import ffprobe, hls_checks, sample_videos
from tests.support.video_builder import RecordingProgressSink, VideoBuilder
from transcode import paths
from transcode.errors import InputMissing
from transcode.ffmpeg.binaries import FfmpegBinaries

ROOT = Path(__file__).parents[2]
SECONDS = 13

ENGLISH = """1
00:00:01,000 --> 00:00:02,500
Hello <i>there</i>

2
00:00:07,900 --> 00:00:09,100
Two
lines & more
"""
GERMAN = "1\n00:00:03,000 --> 00:00:04,500\nHallo\n"


@pytest.fixture(scope="module")
def source(tools: FfmpegBinaries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sound tracks, three subtitles, and a picture that is hard to encode for a moment; 100 s late."""
    folder = tmp_path_factory.mktemp("publishing")
    (folder / "en.srt").write_text(ENGLISH)
    (folder / "de.srt").write_text(GERMAN)
    noise = "noise=alls=90:allf=t:enable='between(t,4,4.5)'"
    words = ["-i", str(folder / "en.srt"), "-i", str(folder / "de.srt")]
    tags = {
        "a:0": ["language=ger"], "a:1": ["language=eng"], "a:2": ["language=ger", 'title=The "director"'],
        "s:0": ["language=eng"], "s:1": ["language=ger"], "s:2": ["language=ger"],
    }  # fmt: skip
    made = folder / "film.mkv"
    sample_videos.run_ffmpeg(
        tools,
        *sample_videos.video_input("5", SECONDS, filters=f"scale=1280:720:flags=neighbor,{noise}"),
        *sample_videos.beep_input(SECONDS), *sample_videos.beep_input(SECONDS, 500, "stereo"),
        *sample_videos.beep_input(7, 700), *words,
        *(option for stream in (0, 1, 2, 3, 4, 5, 5) for option in ("-map", str(stream))),
        *sample_videos.H264, *sample_videos.AAC, "-c:s:0", "srt", "-c:s:1", "ass", "-c:s:2", "srt",
        *(option for stream, pairs in tags.items() for pair in pairs for option in (f"-metadata:s:{stream}", pair)),
        "-disposition:s:2", "forced", "-disposition:a:0", "default", "-disposition:a:1", "0",
        "-output_ts_offset", "100", str(made),
    )  # fmt: skip
    made.write_bytes(made.read_bytes().replace(b"Hallo", b"H\xe4llo"))  # as old programs write it
    return made


@dataclass
class Published:
    """A film, and its master playlist at the beginning and just before the end."""

    film: VideoBuilder
    opened: m3u8.M3U8
    made: m3u8.M3U8
    watches: dict[str, RecordingProgressSink]


@pytest.fixture(scope="module")
def published(source: Path, tools: FfmpegBinaries, tmp_path_factory: pytest.TempPathFactory) -> Published:
    film = VideoBuilder(tmp_path_factory.mktemp("published"), source, tools)
    film.probe()
    opened = m3u8.load(str(film.folder / "master.m3u8"))
    film.run_task("thumbnail")
    film.encode_audio()
    film.encode_chunks()
    made = m3u8.load(str(film.folder / "master.m3u8"))
    watches = {kind: RecordingProgressSink() for kind in ("tracks", "subtitles", "iframes", "storyboard", "finish")}
    for kind, watch in watches.items():
        film.run_task(kind, progress_sink=watch)
    return Published(film, opened, made, watches)


@pytest.fixture(scope="module")
def film(published: Published) -> VideoBuilder:
    return published.film


@pytest.fixture(scope="module")
def master(film: VideoBuilder) -> m3u8.M3U8:
    return m3u8.load(str(film.folder / "master.m3u8"))


def tags(film: VideoBuilder, tag: str) -> list[str]:
    lines = (film.folder / "master.m3u8").read_text().splitlines()
    return [line.removeprefix(f"#{tag}:") for line in lines if line.startswith(f"#{tag}:")]


def test_everything_that_is_published_keeps_the_rules(film: VideoBuilder, tools: FfmpegBinaries) -> None:
    hls_checks.check(film.folder, tools)


def test_the_master_lists_every_rendition_with_what_a_player_must_know(film: VideoBuilder, master: m3u8.M3U8) -> None:
    assert master.is_variant
    assert master.is_independent_segments
    assert [playlist.uri for playlist in master.playlists] == ["480p/index.m3u8", "720p/index.m3u8"]
    for playlist, rendition in zip(master.playlists, film.presentation.renditions, strict=True):
        info = playlist.stream_info
        assert (info.resolution, info.frame_rate) == ((rendition.width, rendition.height), 5)
        assert (info.audio, info.subtitles) == ("audio", "subs")


def test_bandwidths_start_at_the_caps_and_decrease_during_encoding(published: Published) -> None:
    film, opened, made = published.film, published.opened, published.made
    assert not opened.media
    assert not [*opened.iframe_playlists, *made.iframe_playlists]
    for rendition, first, now in zip(film.presentation.renditions, opened.playlists, made.playlists, strict=True):
        assert rendition.cap < first.stream_info.bandwidth < 1.2 * rendition.cap
        full = [8 * file.stat().st_size / 4 for file in film.segment_paths(rendition.name)[:3]]
        assert max(full) <= now.stream_info.bandwidth < 0.8 * first.stream_info.bandwidth
        assert now.stream_info.average_bandwidth <= now.stream_info.bandwidth


def test_a_master_with_measured_bandwidths_survives_restart_and_repair(
    film: VideoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, lost, write = film.folder / "master.m3u8", film.segment_paths()[1], paths.publish_text
    exact, written = place.read_text(), place.stat().st_mtime_ns
    film.probe()
    assert place.stat().st_mtime_ns == written  # it said so already
    lost.rename(film.root / "lost.ts")
    film.probe()
    assert place.read_text() != exact
    assert len(m3u8.load(str(place)).iframe_playlists) == 2

    def write_late(scratch: Path, target: Path, text: str) -> None:
        """From what was there a moment ago: the segment has come back meanwhile."""
        if target == place and not lost.exists():
            (film.root / "lost.ts").rename(lost)
        write(scratch, target, text)

    monkeypatch.setattr(paths, "publish_text", write_late)
    place.unlink()
    film.probe()
    assert place.read_text() == exact


def test_every_file_that_is_read_or_published_is_a_sign_of_life(published: Published) -> None:
    """Thousands of them on a slow disk take longer than a task may stand still."""
    segments = [1, 2, 3, 4]
    wanted = {"tracks": 2 * segments, "subtitles": 3 * [1], "iframes": 2 * segments, "storyboard": segments}
    for kind, files in {**wanted, "finish": 2 * segments}.items():
        assert published.watches[kind].counts[-len(files) :] == files


PUBLISH_IN_ANOTHER_LOCALE = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.support.scripted_tasks import make_presentation
from tests.support.workers import NO_TOOLS
from transcode import paths
from transcode.presentation import SubtitleTrack
from transcode.tasks.context import TaskContext
from transcode.tasks.master import publish_master

root, subtitles = Path(sys.argv[1]), (SubtitleTrack(2, "fra", "Fran\\u00e7ais"),)
for folder in ("480p", "subs1"):
    (paths.video_dir(root, 1) / folder).mkdir(parents=True)
(paths.video_dir(root, 1) / "subs1" / "index.m3u8").touch()
presentation = replace(make_presentation(8), subtitles=subtitles)
publish_master(TaskContext("chunk", 1, "", root, root, NO_TOOLS, presentation))
"""


def test_a_master_with_any_script_is_written_in_any_locale(tmp_path: Path) -> None:
    """It is read again after it was written, and written again if it says something else."""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", PUBLISH_IN_ANOTHER_LOCALE, str(tmp_path)]
    subprocess.run(argv, env=environment, check=True, timeout=30)
    assert 'NAME="Français"' in (paths.video_dir(tmp_path, 1) / "master.m3u8").read_text("utf-8")


def test_sound_tracks_form_a_group_with_the_muxed_one_as_its_default(film: VideoBuilder) -> None:
    assert [line for line in tags(film, "EXT-X-MEDIA") if "TYPE=AUDIO" in line] == [
        'TYPE=AUDIO,GROUP-ID="audio",NAME="Deutsch",LANGUAGE="de",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2"',
        'TYPE=AUDIO,GROUP-ID="audio",NAME="English",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",'
        'URI="audio1/index.m3u8"',
        'TYPE=AUDIO,GROUP-ID="audio",NAME="The \'director\'",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=NO,CHANNELS="2",'
        'URI="audio2/index.m3u8"',
    ]


@pytest.mark.parametrize(("number", "beeps"), [(1, SECONDS), (2, 7)])
def test_a_sound_track_runs_on_the_clock_of_the_picture(
    film: VideoBuilder, tools: FfmpegBinaries, number: int, beeps: int
) -> None:
    folder = film.folder / f"audio{number}"
    samples = ffprobe.decode_audio(tools, "-i", str(folder / "index.m3u8"))[::2]
    assert ffprobe.beep_times(samples) == pytest.approx(range(beeps), abs=0.012)


def test_subtitles_form_a_group_and_no_name_is_there_twice(film: VideoBuilder, master: m3u8.M3U8) -> None:
    listed = [media for media in master.media if media.type == "SUBTITLES"]
    assert [(media.name, media.language, media.forced, media.autoselect) for media in listed] == [
        ("English", "en", "NO", "YES"), ("Deutsch", "de", "NO", "YES"), ("Deutsch (forced)", "de", "YES", "YES"),
    ]  # fmt: skip
    assert {media.default for media in listed} == {"NO"}


def test_subtitles_are_webvtt_on_the_clock_of_the_segments(film: VideoBuilder) -> None:
    playlist = m3u8.load(str(film.folder / "subs1" / "index.m3u8"))
    assert [(piece.uri, piece.duration) for piece in playlist.segments] == [("0000.vtt", SECONDS)]
    assert (film.folder / "subs1" / "0000.vtt").read_text() == (
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n"
        "\n00:00:01.000 --> 00:00:02.500\nHello <i>there</i>\n"
        "\n00:00:07.900 --> 00:00:09.100\nTwo\nlines & more\n"
    )
    assert "00:00:03.000 --> 00:00:04.500\nHällo" in (film.folder / "subs2" / "0000.vtt").read_text()


def luma_of_picture(tools: FfmpegBinaries, picture: Path, made: Path, *, crop: str = "") -> float:
    """The mean of a JPEG, as levels of television count it."""
    filters = f"{crop}{crop and ','}format=gray"
    sample_videos.run_ffmpeg(tools, "-i", str(picture), "-vf", filters, "-f", "rawvideo", str(made))
    pixels = made.read_bytes()
    return sum(pixels) / len(pixels) * 219 / 255 + 16


def test_a_storyboard_shows_the_beginning_of_every_segment(
    film: VideoBuilder, tools: FfmpegBinaries, tmp_path: Path
) -> None:
    index = (film.folder / "storyboard" / "index.vtt").read_text()
    assert index.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:04.000\n0000.jpg#xywh=0,0,160,90\n")
    assert index.endswith("\n00:00:12.000 --> 00:00:13.000\n0000.jpg#xywh=480,0,160,90\n")
    sheet = film.folder / "storyboard" / "0000.jpg"
    for place, frame in enumerate((0, 20, 40, 60)):
        found = luma_of_picture(tools, sheet, tmp_path / "raw", crop=f"crop=160:90:{160 * place}:0")
        assert found == pytest.approx(sample_videos.luma_of(frame), abs=4)


def test_the_result_says_what_is_beside_the_renditions(film: VideoBuilder) -> None:
    found = film.results["finish"]
    assert film.results["storyboard"] == {"pictures": 4, "sheets": 1, "width": 160, "height": 90}
    assert (found["audio"], found["subtitles"]) == ([1, 2], [1, 2, 3])
    assert found["bytes"] == {
        name: sum(file.stat().st_size for file in film.segment_paths(name))
        for name in film.presentation.rendition_names
    }


def test_tracks_are_offered_as_soon_as_they_are_there(source: Path, tools: FfmpegBinaries, tmp_path: Path) -> None:
    young = VideoBuilder(tmp_path, source, tools)
    young.probe()
    young.run_task("subtitles")
    assert [media.type for media in m3u8.load(str(young.folder / "master.m3u8")).media] == ["SUBTITLES"] * 3
    young.run_task("tracks")
    assert len(m3u8.load(str(young.folder / "master.m3u8")).media) == 6


def test_a_video_is_finished_without_the_tracks_that_could_not_be_made(film: VideoBuilder, tmp_path: Path) -> None:
    shutil.copytree(film.root, tmp_path / "media")
    poorer = VideoBuilder(tmp_path / "media", film.source, film.tools, presentation_json=film.presentation_json)
    for track in ("audio1", "audio2", "subs1", "subs3"):
        shutil.rmtree(poorer.folder / track)
    assert poorer.run_task("finish")["subtitles"] == [2]
    assert [media.name for media in m3u8.load(str(poorer.folder / "master.m3u8")).media] == ["Deutsch"]


def test_nothing_is_finished_while_a_segment_is_missing(source: Path, tools: FfmpegBinaries, tmp_path: Path) -> None:
    young = VideoBuilder(tmp_path, source, tools)
    young.probe()
    with pytest.raises(InputMissing, match="A segment of this video is missing"):
        young.run_task("finish")
    for kind in ("iframes", "storyboard"):
        with pytest.raises(InputMissing):
            young.run_task(kind)


def test_a_fragmented_video_keeps_its_subtitles_and_languages(tools: FfmpegBinaries, tmp_path: Path) -> None:
    words, source = tmp_path / "de.srt", tmp_path / "film.mp4"
    words.write_text(GERMAN)
    sample_videos.run_ffmpeg(
        tools, *sample_videos.video_input(), *sample_videos.beep_input(), "-i", str(words),
        *sample_videos.H264, *sample_videos.AAC, "-c:s", "mov_text",
        "-metadata:s:a", "language=fra", "-metadata:s:s", "language=ger",
        "-movflags", "frag_keyframe+empty_moov", str(source),
    )  # fmt: skip
    film = VideoBuilder(tmp_path / "media", source, tools)
    film.build()
    assert film.presentation.remuxed
    assert (film.presentation.audio[0].language, film.presentation.subtitles[0].language) == ("fra", "ger")
    # In fragments, the end of the words is only known from the next ones.
    assert "00:00:03.000 --> 00:00:08.000\nHallo" in (film.folder / "subs1" / "0000.vtt").read_text()


# Thumbnail and loudness -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "filters", "frame", "at"),
    [(8, "", 25, 1), (0.6, "", 7, 0.28), (8, "drawbox=t=fill:c=black:enable='lt(t,1.5)'", 50, 2), (0.04, "", 0, 0)],
    ids=["at_one_second", "the_middle_of_a_short_film", "a_brighter_one", "a_single_frame"],
)
def test_the_thumbnail(
    tools: FfmpegBinaries, tmp_path: Path, seconds: float, filters: str, frame: int, at: float
) -> None:
    source = tmp_path / "film.mp4"
    sample_videos.run_ffmpeg(
        tools, *sample_videos.video_input(seconds=seconds, filters=filters), *sample_videos.H264, str(source)
    )
    film = VideoBuilder(tmp_path / "media", source, tools)
    film.probe()
    assert film.run_task("thumbnail")["at"] == pytest.approx(at)
    assert luma_of_picture(tools, paths.thumbnail_path(film.root, 1), tmp_path / "raw") == pytest.approx(
        sample_videos.luma_of(frame), abs=4
    )
    size = ffprobe.run_ffprobe(
        tools, "-show_entries", "stream=width,height", "-of", "csv=p=0", str(paths.thumbnail_path(film.root, 1))
    )
    assert size.strip() == "640,360"


def test_a_video_that_is_black_all_through_has_a_black_thumbnail(tools: FfmpegBinaries, tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    sample_videos.run_ffmpeg(tools, "-f", "lavfi", "-i", "color=black:s=64x36:d=3", *sample_videos.H264, str(source))
    film = VideoBuilder(tmp_path / "media", source, tools)
    film.probe()
    film.run_task("thumbnail")
    assert luma_of_picture(tools, paths.thumbnail_path(film.root, 1), tmp_path / "raw") < 20


@pytest.mark.parametrize(("volume", "loudness"), [("0.1", -23.0), ("0", None)], ids=["a_sine", "silence"])
def test_loudness_is_measured_while_the_sound_is_encoded(
    tools: FfmpegBinaries, tmp_path: Path, volume: str, loudness: float | None
) -> None:
    """EBU Tech 3341: a stereo sine of 1 kHz at -23 dBFS measures -23 LUFS."""
    source = tmp_path / "film.mp4"
    level = f"{float(volume) * 10 ** (-3 / 20):.6f}*sin(2*PI*1000*t)"
    sample_videos.run_ffmpeg(
        tools, *sample_videos.video_input(seconds=5), "-f", "lavfi", "-i", f"aevalsrc='{level}|{level}':d=5:s=48000",
        *sample_videos.H264, "-c:a", "aac", "-b:a", "192k", "-metadata", "title=No space left on device", str(source),
    )  # fmt: skip
    film = VideoBuilder(tmp_path / "media", source, tools)
    film.probe()
    film.encode_audio()
    assert film.results["audio"]["loudness"] == (loudness and pytest.approx(loudness, abs=0.3))
