"""The published files of a video, checked against RFC 8216 and Apple's HLS authoring specification."""

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
from transcode import paths, publishing
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
    """Three audio tracks, three subtitles, half a second of noise in the picture, and timestamps from 100 s on."""
    folder = tmp_path_factory.mktemp("publishing")
    (folder / "en.srt").write_text(ENGLISH)
    (folder / "de.srt").write_text(GERMAN)
    noise = "noise=alls=90:allf=t:enable='between(t,4,4.5)'"
    subtitles = ["-i", str(folder / "en.srt"), "-i", str(folder / "de.srt")]
    tags = {
        "a:0": ["language=ger"], "a:1": ["language=eng"], "a:2": ["language=ger", 'title=The "director"'],
        "s:0": ["language=eng"], "s:1": ["language=ger"], "s:2": ["language=ger"],
    }  # fmt: skip
    path = folder / "video.mkv"
    sample_videos.run_ffmpeg(
        tools,
        *sample_videos.video_input("5", SECONDS, filters=f"scale=1280:720:flags=neighbor,{noise}"),
        *sample_videos.beep_input(SECONDS), *sample_videos.beep_input(SECONDS, 500, "stereo"),
        *sample_videos.beep_input(7, 700), *subtitles,
        *(option for stream in (0, 1, 2, 3, 4, 5, 5) for option in ("-map", str(stream))),
        *sample_videos.H264, *sample_videos.AAC, "-c:s:0", "srt", "-c:s:1", "ass", "-c:s:2", "srt",
        *(option for stream, pairs in tags.items() for pair in pairs for option in (f"-metadata:s:{stream}", pair)),
        "-disposition:s:2", "forced", "-disposition:a:0", "default", "-disposition:a:1", "0",
        "-output_ts_offset", "100", str(path),
    )  # fmt: skip
    path.write_bytes(path.read_bytes().replace(b"Hallo", b"H\xe4llo"))  # Windows-1252, as old programs write it
    return path


@dataclass
class Published:
    """A video, its master playlists after the probe and after all chunks, and the progress of the tasks since."""

    video: VideoBuilder
    after_probe: m3u8.M3U8
    after_chunks: m3u8.M3U8
    progress: dict[str, RecordingProgressSink]


@pytest.fixture(scope="module")
def published(source: Path, tools: FfmpegBinaries, tmp_path_factory: pytest.TempPathFactory) -> Published:
    video = VideoBuilder(tmp_path_factory.mktemp("published"), source, tools)
    video.probe()
    after_probe = m3u8.load(str(video.folder / "master.m3u8"))
    video.run_task("thumbnail")
    video.encode_audio()
    video.encode_chunks()
    after_chunks = m3u8.load(str(video.folder / "master.m3u8"))
    progress = {kind: RecordingProgressSink() for kind in ("tracks", "subtitles", "iframes", "storyboard", "finish")}
    for kind, progress_sink in progress.items():
        video.run_task(kind, progress_sink=progress_sink)
    return Published(video, after_probe, after_chunks, progress)


@pytest.fixture(scope="module")
def video(published: Published) -> VideoBuilder:
    return published.video


@pytest.fixture(scope="module")
def master(video: VideoBuilder) -> m3u8.M3U8:
    return m3u8.load(str(video.folder / "master.m3u8"))


def tags(video: VideoBuilder, tag: str) -> list[str]:
    lines = (video.folder / "master.m3u8").read_text().splitlines()
    return [line.removeprefix(f"#{tag}:") for line in lines if line.startswith(f"#{tag}:")]


def test_everything_that_is_published_follows_the_rules(video: VideoBuilder, tools: FfmpegBinaries) -> None:
    hls_checks.check(video.folder, tools)


def test_the_master_describes_every_rendition_for_players(video: VideoBuilder, master: m3u8.M3U8) -> None:
    assert master.is_variant
    assert master.is_independent_segments
    assert [playlist.uri for playlist in master.playlists] == ["480p/index.m3u8", "720p/index.m3u8"]
    for playlist, rendition in zip(master.playlists, video.presentation.renditions, strict=True):
        info = playlist.stream_info
        assert (info.resolution, info.frame_rate) == ((rendition.width, rendition.height), 5)
        assert (info.audio, info.subtitles) == ("audio", "subs")


def test_bandwidths_start_at_the_caps_and_decrease_during_encoding(published: Published) -> None:
    video, after_probe, after_chunks = published.video, published.after_probe, published.after_chunks
    assert not after_probe.media
    assert not [*after_probe.iframe_playlists, *after_chunks.iframe_playlists]
    variants = zip(video.presentation.renditions, after_probe.playlists, after_chunks.playlists, strict=True)
    for rendition, first, later in variants:
        assert rendition.cap < first.stream_info.bandwidth < 1.2 * rendition.cap
        segment_rates = [8 * file.stat().st_size / 4 for file in video.segment_paths(rendition.name)[:3]]
        assert max(segment_rates) <= later.stream_info.bandwidth < 0.8 * first.stream_info.bandwidth
        assert later.stream_info.average_bandwidth <= later.stream_info.bandwidth


def test_a_master_with_measured_bandwidths_survives_restart_and_repair(
    video: VideoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    master_path, segment, publish_text = video.folder / "master.m3u8", video.segment_paths()[1], publishing.publish_text
    exact, modified_at = master_path.read_text(), master_path.stat().st_mtime_ns
    video.probe()
    assert master_path.stat().st_mtime_ns == modified_at  # unchanged
    segment.rename(video.root / "lost.ts")
    video.probe()
    assert master_path.read_text() != exact
    assert len(m3u8.load(str(master_path)).iframe_playlists) == 2

    def write_late(scratch: Path, target: Path, text: str) -> None:
        """Write from an outdated state: the segment comes back just before."""
        if target == master_path and not segment.exists():
            (video.root / "lost.ts").rename(segment)
        publish_text(scratch, target, text)

    monkeypatch.setattr(publishing, "publish_text", write_late)
    master_path.unlink()
    video.probe()
    assert master_path.read_text() == exact


def test_every_file_that_is_read_or_published_counts_as_progress(published: Published) -> None:
    """Thousands of them on a slow disk take longer than a task may go without progress."""
    segments = [1, 2, 3, 4]
    expected = {"tracks": 2 * segments, "subtitles": 3 * [1], "iframes": 2 * segments, "storyboard": segments}
    for kind, files in {**expected, "finish": 2 * segments}.items():
        assert published.progress[kind].counts[-len(files) :] == files


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
    """It is read again after it was written, and written again if it differs."""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", PUBLISH_IN_ANOTHER_LOCALE, str(tmp_path)]
    subprocess.run(argv, env=environment, check=True, timeout=30)
    assert 'NAME="Français"' in (paths.video_dir(tmp_path, 1) / "master.m3u8").read_text("utf-8")


def test_audio_tracks_form_a_group_with_the_muxed_one_as_default(video: VideoBuilder) -> None:
    assert [line for line in tags(video, "EXT-X-MEDIA") if "TYPE=AUDIO" in line] == [
        'TYPE=AUDIO,GROUP-ID="audio",NAME="Deutsch",LANGUAGE="de",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2"',
        'TYPE=AUDIO,GROUP-ID="audio",NAME="English",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",'
        'URI="audio1/index.m3u8"',
        'TYPE=AUDIO,GROUP-ID="audio",NAME="The \'director\'",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=NO,CHANNELS="2",'
        'URI="audio2/index.m3u8"',
    ]


@pytest.mark.parametrize(("number", "beeps"), [(1, SECONDS), (2, 7)])
def test_an_audio_track_runs_on_the_clock_of_the_picture(
    video: VideoBuilder, tools: FfmpegBinaries, number: int, beeps: int
) -> None:
    folder = video.folder / f"audio{number}"
    samples = ffprobe.decode_audio(tools, "-i", str(folder / "index.m3u8"))[::2]
    assert ffprobe.beep_times(samples) == pytest.approx(range(beeps), abs=0.012)


def test_subtitles_form_a_group_with_unique_names(video: VideoBuilder, master: m3u8.M3U8) -> None:
    listed = [media for media in master.media if media.type == "SUBTITLES"]
    assert [(media.name, media.language, media.forced, media.autoselect) for media in listed] == [
        ("English", "en", "NO", "YES"), ("Deutsch", "de", "NO", "YES"), ("Deutsch (forced)", "de", "YES", "YES"),
    ]  # fmt: skip
    assert {media.default for media in listed} == {"NO"}


def test_subtitles_are_webvtt_on_the_clock_of_the_segments(video: VideoBuilder) -> None:
    playlist = m3u8.load(str(video.folder / "subs1" / "index.m3u8"))
    assert [(piece.uri, piece.duration) for piece in playlist.segments] == [("0000.vtt", SECONDS)]
    assert (video.folder / "subs1" / "0000.vtt").read_text() == (
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n"
        "\n00:00:01.000 --> 00:00:02.500\nHello <i>there</i>\n"
        "\n00:00:07.900 --> 00:00:09.100\nTwo\nlines & more\n"
    )
    assert "00:00:03.000 --> 00:00:04.500\nHällo" in (video.folder / "subs2" / "0000.vtt").read_text()


def luma_of_picture(tools: FfmpegBinaries, picture: Path, raw: Path, *, crop: str = "") -> float:
    """Return the mean luma of a JPEG in video levels (16 to 235)."""
    filters = f"{crop}{crop and ','}format=gray"
    sample_videos.run_ffmpeg(tools, "-i", str(picture), "-vf", filters, "-f", "rawvideo", str(raw))
    pixels = raw.read_bytes()
    return sum(pixels) / len(pixels) * 219 / 255 + 16


def test_a_storyboard_shows_the_beginning_of_every_segment(
    video: VideoBuilder, tools: FfmpegBinaries, tmp_path: Path
) -> None:
    index = (video.folder / "storyboard" / "index.vtt").read_text()
    assert index.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:04.000\n0000.jpg#xywh=0,0,160,90\n")
    assert index.endswith("\n00:00:12.000 --> 00:00:13.000\n0000.jpg#xywh=480,0,160,90\n")
    sheet = video.folder / "storyboard" / "0000.jpg"
    for column, frame in enumerate((0, 20, 40, 60)):
        luma = luma_of_picture(tools, sheet, tmp_path / "raw", crop=f"crop=160:90:{160 * column}:0")
        assert luma == pytest.approx(sample_videos.luma_of(frame), abs=4)


def test_the_result_lists_sizes_and_alternate_tracks(video: VideoBuilder) -> None:
    result = video.results["finish"]
    assert video.results["storyboard"] == {"pictures": 4, "sheets": 1, "width": 160, "height": 90}
    assert (result["audio"], result["subtitles"]) == ([1, 2], [1, 2, 3])
    assert result["bytes"] == {
        name: sum(file.stat().st_size for file in video.segment_paths(name))
        for name in video.presentation.rendition_names
    }


def test_tracks_are_listed_as_soon_as_they_exist(source: Path, tools: FfmpegBinaries, tmp_path: Path) -> None:
    video = VideoBuilder(tmp_path, source, tools)
    video.probe()
    video.run_task("subtitles")
    assert [media.type for media in m3u8.load(str(video.folder / "master.m3u8")).media] == ["SUBTITLES"] * 3
    video.run_task("tracks")
    assert len(m3u8.load(str(video.folder / "master.m3u8")).media) == 6


def test_a_video_is_finished_without_tracks_that_are_missing(video: VideoBuilder, tmp_path: Path) -> None:
    shutil.copytree(video.root, tmp_path / "media")
    incomplete = VideoBuilder(tmp_path / "media", video.source, video.tools, presentation_json=video.presentation_json)
    for track in ("audio1", "audio2", "subs1", "subs3"):
        shutil.rmtree(incomplete.folder / track)
    assert incomplete.run_task("finish")["subtitles"] == [2]
    assert [media.name for media in m3u8.load(str(incomplete.folder / "master.m3u8")).media] == ["Deutsch"]


def test_nothing_is_finished_while_a_segment_is_missing(source: Path, tools: FfmpegBinaries, tmp_path: Path) -> None:
    video = VideoBuilder(tmp_path, source, tools)
    video.probe()
    with pytest.raises(InputMissing, match="A segment of this video is missing"):
        video.run_task("finish")
    for kind in ("iframes", "storyboard"):
        with pytest.raises(InputMissing):
            video.run_task(kind)


def test_a_fragmented_video_keeps_its_subtitles_and_languages(tools: FfmpegBinaries, tmp_path: Path) -> None:
    srt, source = tmp_path / "de.srt", tmp_path / "video.mp4"
    srt.write_text(GERMAN)
    sample_videos.run_ffmpeg(
        tools, *sample_videos.video_input(), *sample_videos.beep_input(), "-i", str(srt),
        *sample_videos.H264, *sample_videos.AAC, "-c:s", "mov_text",
        "-metadata:s:a", "language=fra", "-metadata:s:s", "language=ger",
        "-movflags", "frag_keyframe+empty_moov", str(source),
    )  # fmt: skip
    video = VideoBuilder(tmp_path / "media", source, tools)
    video.build()
    assert video.presentation.remuxed
    assert (video.presentation.audio[0].language, video.presentation.subtitles[0].language) == ("fra", "ger")
    # In fragments, the end of a cue is only known from the next one.
    assert "00:00:03.000 --> 00:00:08.000\nHallo" in (video.folder / "subs1" / "0000.vtt").read_text()


# Thumbnail and loudness -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "filters", "frame", "at"),
    [(8, "", 25, 1), (0.6, "", 7, 0.28), (8, "drawbox=t=fill:c=black:enable='lt(t,1.5)'", 50, 2), (0.04, "", 0, 0)],
    ids=["at_one_second", "the_middle_of_a_short_video", "a_brighter_one", "a_single_frame"],
)
def test_the_thumbnail(
    tools: FfmpegBinaries, tmp_path: Path, seconds: float, filters: str, frame: int, at: float
) -> None:
    source = tmp_path / "video.mp4"
    sample_videos.run_ffmpeg(
        tools, *sample_videos.video_input(seconds=seconds, filters=filters), *sample_videos.H264, str(source)
    )
    video = VideoBuilder(tmp_path / "media", source, tools)
    video.probe()
    assert video.run_task("thumbnail")["at"] == pytest.approx(at)
    assert luma_of_picture(tools, paths.thumbnail_path(video.root, 1), tmp_path / "raw") == pytest.approx(
        sample_videos.luma_of(frame), abs=4
    )
    size = ffprobe.run_ffprobe(
        tools, "-show_entries", "stream=width,height", "-of", "csv=p=0", str(paths.thumbnail_path(video.root, 1))
    )
    assert size.strip() == "640,360"


def test_a_video_that_is_all_black_has_a_black_thumbnail(tools: FfmpegBinaries, tmp_path: Path) -> None:
    source = tmp_path / "video.mp4"
    sample_videos.run_ffmpeg(tools, "-f", "lavfi", "-i", "color=black:s=64x36:d=3", *sample_videos.H264, str(source))
    video = VideoBuilder(tmp_path / "media", source, tools)
    video.probe()
    video.run_task("thumbnail")
    assert luma_of_picture(tools, paths.thumbnail_path(video.root, 1), tmp_path / "raw") < 20


@pytest.mark.parametrize(("volume", "loudness"), [("0.1", -23.0), ("0", None)], ids=["a_sine", "silence"])
def test_loudness_is_measured_while_the_audio_is_encoded(
    tools: FfmpegBinaries, tmp_path: Path, volume: str, loudness: float | None
) -> None:
    """EBU Tech 3341: a stereo sine of 1 kHz at -23 dBFS measures -23 LUFS."""
    source = tmp_path / "video.mp4"
    level = f"{float(volume) * 10 ** (-3 / 20):.6f}*sin(2*PI*1000*t)"
    sample_videos.run_ffmpeg(
        tools, *sample_videos.video_input(seconds=5), "-f", "lavfi", "-i", f"aevalsrc='{level}|{level}':d=5:s=48000",
        *sample_videos.H264, "-c:a", "aac", "-b:a", "192k", "-metadata", "title=No space left on device", str(source),
    )  # fmt: skip
    video = VideoBuilder(tmp_path / "media", source, tools)
    video.probe()
    video.encode_audio()
    assert video.results["audio"]["loudness"] == (loudness and pytest.approx(loudness, abs=0.3))
