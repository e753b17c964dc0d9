"""Ordinary sources of every kind through all tasks: every frame and every sound is at its time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import m3u8
import pytest

from tests.support import ffprobe, hls_checks, sample_videos
from tests.support.ffprobe import AAC_FRAME, CLOCK, RATE
from tests.support.sample_videos import RECIPES, Recipe, luma_of
from tests.support.video_builder import VideoBuilder
from tests.support.video_factory import InspectedVideo, VideoFactory, build_and_inspect
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.probe import checks
from transcode.probe.source import Source

of_every_kind = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)


@of_every_kind
def test_the_probe_finds_rate_length_and_size(recipe: Recipe, video: InspectedVideo) -> None:
    timeline = video.builder.presentation
    assert (timeline.grid.fps, timeline.grid.frame_count) == (recipe.rate, recipe.frames)
    assert (timeline.top_rendition.width, timeline.top_rendition.height) == recipe.size
    assert timeline.remuxed == recipe.remuxed
    assert bool(timeline.audio) == bool(recipe.beeps)


@of_every_kind
def test_every_segment_holds_exactly_the_frames_of_the_grid(recipe: Recipe, video: InspectedVideo) -> None:
    grid = video.builder.presentation.grid
    for number, segment in enumerate(video.segments):
        frames = range(number * grid.gop, min((number + 1) * grid.gop, grid.frame_count))
        assert sorted(segment.presentation_times) == [ffprobe.ticks(frame, recipe.rate) for frame in frames]
        assert segment.key_frames == [0]
        assert segment.presentation_times[0] == min(segment.presentation_times)
    decoded = [time for segment in video.segments for time in segment.decoding_times]
    assert decoded == sorted(set(decoded))


@of_every_kind
def test_the_sound_runs_through_all_segments_without_a_step(recipe: Recipe, video: InspectedVideo) -> None:
    sound = [time for segment in video.segments for time in segment.audio_times]
    step = AAC_FRAME * CLOCK // RATE
    assert sound == [step * (place - 1) for place in range(len(sound))]
    if recipe.beeps:
        assert (sound[-1] + step) / CLOCK == pytest.approx(recipe.seconds, abs=AAC_FRAME / RATE + 1e-4)


@of_every_kind
def test_it_plays_without_warnings(recipe: Recipe, video: InspectedVideo) -> None:
    assert video.decoded.complaints == ""
    assert len(video.decoded.luma) == recipe.frames


@of_every_kind
def test_every_frame_shows_what_the_source_shows_then(recipe: Recipe, video: InspectedVideo) -> None:
    wrong = {
        frame: luma
        for frame, luma in enumerate(video.decoded.luma)
        if not any(abs(luma_of(number) - luma) <= 4 for number in recipe.shown(frame))
    }
    assert not wrong


@of_every_kind
def test_every_beep_is_heard_when_the_source_beeps(recipe: Recipe, video: InspectedVideo) -> None:
    assert ffprobe.beep_times(video.decoded.samples) == pytest.approx(list(recipe.beeps), abs=0.012)


@of_every_kind
def test_the_playlist_has_the_duration_of_the_video(recipe: Recipe, video: InspectedVideo) -> None:
    playlist = m3u8.load(str(video.builder.folder / "480p" / "index.m3u8"))
    lengths = [Fraction(str(segment.duration)) for segment in playlist.segments]
    assert abs(sum(lengths) - Fraction(recipe.frames) / recipe.rate) < 1 / recipe.rate
    assert max(lengths) <= playlist.target_duration + Fraction(1, 2)
    assert all(int(length + Fraction(1, 2)) <= playlist.target_duration for length in lengths)
    assert (playlist.playlist_type, playlist.is_endlist, playlist.is_independent_segments) == ("vod", True, True)


@of_every_kind
def test_every_playlist_and_every_segment_follows_the_rules(recipe: Recipe, video: InspectedVideo) -> None:
    studio = video.builder
    known = dict(zip(studio.segment_paths(), video.segments, strict=True))
    hls_checks.check(studio.folder, studio.tools, known)
    (variant,) = m3u8.load(str(studio.folder / "master.m3u8")).playlists
    assert (variant.uri, variant.stream_info.resolution) == ("480p/index.m3u8", recipe.size)


@pytest.mark.parametrize("name", ["interlaced", "ts_mpeg2"])
def test_interlaced_videos_are_deinterlaced(video_factory: VideoFactory, name: str) -> None:
    recipe = next(recipe for recipe in RECIPES if recipe.name == name)
    assert video_factory.submit(recipe).result(timeout=120).builder.presentation.video.interlaced


@pytest.mark.parametrize("name", ["odd", "dvd", "avi_mpeg4", "mono_44100", "sound_late", "sound_short", "sound_first"])
def test_on_demand_segments_alone_make_the_same_video(video_factory: VideoFactory, tmp_path: Path, name: str) -> None:
    recipe = next(recipe for recipe in RECIPES if recipe.name == name)
    video = video_factory.submit(recipe).result(timeout=120)
    alone = VideoBuilder(tmp_path, video.builder.source, video.builder.tools)
    for number in range(alone.probe().segment_count):
        alone.run_task("segment", number, "480p")
    assert [ffprobe.read_packets(alone.tools, file) for file in alone.segment_paths()] == video.segments
    played = ffprobe.decode_playlist(alone.tools, alone.folder / "480p" / "index.m3u8", tmp_path, sound=True)
    assert played.complaints == ""
    assert ffprobe.beep_times(played.samples) == pytest.approx(list(recipe.beeps), abs=0.012)


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_a_video_without_key_frames_is_given_some(
    tools: FfmpegBinaries, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_MAX_KEY_FRAME_DISTANCE", 100)
    recipe = Recipe(
        "one_key_frame", suffix, [*sample_videos.INPUTS, *sample_videos.H264, "-g", "999", *sample_videos.AAC]
    )
    source = recipe.make(tools, tmp_path)
    video = build_and_inspect(tools, source, tmp_path)
    assert video.builder.presentation.keyed
    assert [len(segment.presentation_times) for segment in video.segments] == [100, 50]
    assert all(abs(luma_of(frame) - luma) <= 4 for frame, luma in enumerate(video.decoded.luma))
    assert ffprobe.beep_times(video.decoded.samples) == pytest.approx(list(recipe.beeps), abs=0.012)
    lost = video.builder.segment_paths()[1]
    lost.unlink()
    video.builder.run_task("probe")  # the copy was removed by now, and is made again
    video.builder.run_task("segment", 1, "480p")
    assert ffprobe.read_packets(tools, lost) == video.segments[1]


def test_a_picture_that_comes_half_a_minute_late_is_found(tools: FfmpegBinaries, tmp_path: Path) -> None:
    source = tmp_path / "late.ts"
    late = ["-itsoffset", "30", *sample_videos.video_input(seconds=2), *sample_videos.beep_input(32)]
    sample_videos.run_ffmpeg(tools, *late, *sample_videos.H264, "-g", "10", *sample_videos.AAC, str(source))
    video = VideoBuilder(tmp_path / "media", source, tools)
    assert video.probe().duration == pytest.approx(32, abs=0.3)
    for number in (0, 7):  # the first frame is shown until the picture begins
        video.run_task("segment", number, "480p")
        assert (
            len(ffprobe.read_packets(tools, video.segment_paths()[number]).presentation_times)
            == video.presentation.grid.gop
        )


def test_a_cover_that_calls_itself_the_picture_is_none_beside_a_video() -> None:
    cover = {"index": 0, "codec_type": "video", "codec_name": "mjpeg", "disposition": {"default": 1}}
    video = {"index": 1, "codec_type": "video", "codec_name": "h264"}
    assert Source({}, [cover, video]).video_stream is video
    assert Source({}, [cover]).video_stream is cover  # a video of an old camera


def test_a_video_of_many_hours_is_open_at_its_last_segment(tools: FfmpegBinaries, tmp_path: Path) -> None:
    short, source, hours = tmp_path / "short.mkv", tmp_path / "long.mkv", 7
    sample_videos.run_ffmpeg(tools, *sample_videos.video_input("1", 100), *sample_videos.H264, "-bf", "0", str(short))
    again = ["-stream_loop", str(hours * 36 - 1), "-i", str(short), "-c", "copy"]
    sample_videos.run_ffmpeg(tools, *again, str(source))
    video = VideoBuilder(tmp_path / "media", source, tools)
    assert video.probe().segment_count == hours * 900
    video.run_task("segment", hours * 900 - 1, "480p")
    last = ffprobe.read_packets(tools, video.segment_paths()[-1])
    frames = range(hours * 3600 - 4, hours * 3600)
    assert sorted(last.presentation_times) == [ffprobe.ticks(frame, Fraction(1)) for frame in frames]
    listed = m3u8.load(str(video.folder / "480p" / "index.m3u8"))
    assert sum(segment.duration for segment in listed.segments) == hours * 3600
