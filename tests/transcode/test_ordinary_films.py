"""Films of every ordinary kind, through all tasks: every frame and every sound is where it belongs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import m3u8
import pytest

from tests.transcode import inspection, rules, sources
from tests.transcode.conftest import Workshop
from tests.transcode.inspection import AAC_FRAME, CLOCK, RATE, Film
from tests.transcode.sources import RECIPES, Recipe, luma_of
from tests.transcode.studio import Studio
from transcode.source import probe
from transcode.source.description import Source
from transcode.tools import Tools

of_every_kind = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)


@of_every_kind
def test_the_probe_finds_rate_length_and_size(recipe: Recipe, film: Film) -> None:
    timeline = film.studio.timeline
    assert (timeline.grid.fps, timeline.grid.frames) == (recipe.rate, recipe.frames)
    assert (timeline.top.width, timeline.top.height) == recipe.size
    assert timeline.remuxed == recipe.remuxed
    assert bool(timeline.audio) == bool(recipe.beeps)


@of_every_kind
def test_every_segment_holds_exactly_the_frames_of_the_grid(recipe: Recipe, film: Film) -> None:
    grid = film.studio.timeline.grid
    for number, segment in enumerate(film.segments):
        frames = range(number * grid.gop, min((number + 1) * grid.gop, grid.frames))
        assert sorted(segment.shown) == [inspection.ticks(frame, recipe.rate) for frame in frames]
        assert segment.key_frames == [0]
        assert segment.shown[0] == min(segment.shown)
    decoded = [time for segment in film.segments for time in segment.decoded]
    assert decoded == sorted(set(decoded))


@of_every_kind
def test_the_sound_runs_through_all_segments_without_a_step(recipe: Recipe, film: Film) -> None:
    sound = [time for segment in film.segments for time in segment.sound]
    step = AAC_FRAME * CLOCK // RATE
    assert sound == [step * (place - 1) for place in range(len(sound))]
    if recipe.beeps:
        assert (sound[-1] + step) / CLOCK == pytest.approx(recipe.seconds, abs=AAC_FRAME / RATE + 1e-4)


@of_every_kind
def test_it_plays_without_a_complaint(recipe: Recipe, film: Film) -> None:
    assert film.played.complaints == ""
    assert len(film.played.luma) == recipe.frames


@of_every_kind
def test_every_frame_shows_what_the_source_shows_then(recipe: Recipe, film: Film) -> None:
    wrong = {
        frame: luma
        for frame, luma in enumerate(film.played.luma)
        if not any(abs(luma_of(number) - luma) <= 4 for number in recipe.shown(frame))
    }
    assert not wrong


@of_every_kind
def test_every_beep_is_heard_when_the_source_beeps(recipe: Recipe, film: Film) -> None:
    assert inspection.onsets(film.played.samples) == pytest.approx(list(recipe.beeps), abs=0.012)


@of_every_kind
def test_the_playlist_tells_the_length_of_the_film(recipe: Recipe, film: Film) -> None:
    playlist = m3u8.load(str(film.studio.folder / "480p" / "index.m3u8"))
    lengths = [Fraction(str(segment.duration)) for segment in playlist.segments]
    assert abs(sum(lengths) - Fraction(recipe.frames) / recipe.rate) < 1 / recipe.rate
    assert max(lengths) <= playlist.target_duration + Fraction(1, 2)
    assert all(int(length + Fraction(1, 2)) <= playlist.target_duration for length in lengths)
    assert (playlist.playlist_type, playlist.is_endlist, playlist.is_independent_segments) == ("vod", True, True)


@of_every_kind
def test_every_playlist_and_every_segment_keeps_the_rules(recipe: Recipe, film: Film) -> None:
    studio = film.studio
    known = dict(zip(studio.segments(), film.segments, strict=True))
    rules.check(studio.folder, studio.tools, known)
    (variant,) = m3u8.load(str(studio.folder / "master.m3u8")).playlists
    assert (variant.uri, variant.stream_info.resolution) == ("480p/index.m3u8", recipe.size)


@pytest.mark.parametrize("name", ["interlaced", "ts_mpeg2"])
def test_interlaced_films_are_deinterlaced(workshop: Workshop, name: str) -> None:
    recipe = next(recipe for recipe in RECIPES if recipe.name == name)
    assert workshop.begin(recipe).result(timeout=120).studio.timeline.video.interlaced


@pytest.mark.parametrize("name", ["odd", "dvd", "avi_mpeg4", "mono_44100", "sound_late", "sound_short", "sound_first"])
def test_the_first_viewer_gets_the_same_film_before_any_other_work_is_done(
    workshop: Workshop, tmp_path: Path, name: str
) -> None:
    recipe = next(recipe for recipe in RECIPES if recipe.name == name)
    film = workshop.begin(recipe).result(timeout=120)
    alone = Studio(tmp_path, film.studio.source, film.studio.tools)
    for number in range(alone.probe().segments):
        alone.do("segment", number, "480p")
    assert [inspection.segment(alone.tools, file) for file in alone.segments()] == film.segments
    played = inspection.play(alone.tools, alone.folder / "480p" / "index.m3u8", tmp_path, sound=True)
    assert played.complaints == ""
    assert inspection.onsets(played.samples) == pytest.approx(list(recipe.beeps), abs=0.012)


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_a_film_without_key_frames_is_given_some(
    tools: Tools, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_SPARSE", 100)
    recipe = Recipe("one_key_frame", suffix, [*sources.FILM, *sources.H264, "-g", "999", *sources.AAC])
    source = recipe.make(tools, tmp_path)
    film = inspection.look_at(tools, source, tmp_path)
    assert film.studio.timeline.keyed
    assert [len(segment.shown) for segment in film.segments] == [100, 50]
    assert all(abs(luma_of(frame) - luma) <= 4 for frame, luma in enumerate(film.played.luma))
    assert inspection.onsets(film.played.samples) == pytest.approx(list(recipe.beeps), abs=0.012)
    lost = film.studio.segments()[1]
    lost.unlink()
    film.studio.do("probe")  # the copy is gone by now, and made again
    film.studio.do("segment", 1, "480p")
    assert inspection.segment(tools, lost) == film.segments[1]


def test_a_picture_that_comes_half_a_minute_late_is_found(tools: Tools, tmp_path: Path) -> None:
    source = tmp_path / "late.ts"
    late = ["-itsoffset", "30", *sources.picture(seconds=2), *sources.beeps(32)]
    sources.ffmpeg(tools, *late, *sources.H264, "-g", "10", *sources.AAC, str(source))
    film = Studio(tmp_path / "media", source, tools)
    assert film.probe().duration == pytest.approx(32, abs=0.3)
    for number in (0, 7):  # the first frame stands until the picture begins
        film.do("segment", number, "480p")
        assert len(inspection.segment(tools, film.segments()[number]).shown) == film.timeline.grid.gop


def test_a_cover_that_calls_itself_the_picture_is_none_beside_a_film() -> None:
    cover = {"index": 0, "codec_type": "video", "codec_name": "mjpeg", "disposition": {"default": 1}}
    film = {"index": 1, "codec_type": "video", "codec_name": "h264"}
    assert Source({}, [cover, film]).picture is film
    assert Source({}, [cover]).picture is cover  # the film of an old camera


def test_a_film_of_many_hours_is_open_at_its_last_segment(tools: Tools, tmp_path: Path) -> None:
    short, source, hours = tmp_path / "short.mkv", tmp_path / "long.mkv", 7
    sources.ffmpeg(tools, *sources.picture("1", 100), *sources.H264, "-bf", "0", str(short))
    again = ["-stream_loop", str(hours * 36 - 1), "-i", str(short), "-c", "copy"]
    sources.ffmpeg(tools, *again, str(source))
    film = Studio(tmp_path / "media", source, tools)
    assert film.probe().segments == hours * 900
    film.do("segment", hours * 900 - 1, "480p")
    last = inspection.segment(tools, film.segments()[-1])
    frames = range(hours * 3600 - 4, hours * 3600)
    assert sorted(last.shown) == [inspection.ticks(frame, Fraction(1)) for frame in frames]
    listed = m3u8.load(str(film.folder / "480p" / "index.m3u8"))
    assert sum(segment.duration for segment in listed.segments) == hours * 3600
