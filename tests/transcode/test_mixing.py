"""Segments that were encoded alone stand between those of the bulk work, and nobody sees or hears a difference."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.transcode import inspection, rules, sources
from tests.transcode.studio import Studio
from transcode import layout
from transcode.plans import sound
from transcode.plans.audio import AudioPlan
from transcode.tools import Tools

# 23 seconds at 29.97: six segments in three chunks (0, 1-2, 3-5), the last segment short.
SECONDS = 23
FIRST, BORDERS, LAST = [0], [1, 2, 3], [5]


@pytest.fixture(scope="module")
def bulk(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """All chunks of a film with music, whose sound is still in pieces beside them."""
    folder = tmp_path_factory.mktemp("mixing")
    source = folder / "film.mkv"
    music = "0.3*sin(2*PI*(300+200*sin(t))*t)+0.2*sin(2*PI*440*t)*lt(mod(t,2),0.5)"
    sound = ["-f", "lavfi", "-i", f"aevalsrc='{music}|{music}':d={SECONDS}:s=44100"]
    sources.ffmpeg(
        tools, *sources.picture("30000/1001", SECONDS), *sound, *sources.H264, "-c:a", "libmp3lame", str(source)
    )
    made = Studio(folder / "media", source, tools)
    made.probe()
    made.sound()
    made.chunks()
    return made


def copy_of(bulk: Studio, folder: Path) -> Studio:
    shutil.copytree(bulk.root, folder / "media")
    return Studio(folder / "media", bulk.source, bulk.tools, known=bulk.known)


def replaced(film: Studio, numbers: Sequence[int]) -> None:
    """Encode these segments alone."""
    for number in numbers:
        film.segments()[number].unlink()
        film.do("segment", number, "480p")


def looks(film: Studio) -> list[inspection.Segment]:
    return [inspection.segment(film.tools, file) for file in film.segments()]


def playlist(film: Studio) -> Path:
    return film.folder / "480p" / "index.m3u8"


def test_the_stitched_sound_is_the_very_sound_of_one_uncut_encoding(bulk: Studio, tmp_path: Path) -> None:
    argv = AudioPlan(bulk.timeline, bulk.source).argv()
    whole = tmp_path / "whole.ts"
    cut = argv.index("segment") - 1
    sources.ffmpeg(bulk.tools, *argv[:cut], "-f", "mpegts", "-mpegts_copyts", "1", str(whole))
    uncut = inspection.samples_of(bulk.tools, "-i", str(whole))
    assert len(uncut) > 2 * sound.RATE * SECONDS
    assert inspection.samples_of(bulk.tools, "-i", str(playlist(bulk))) == uncut


@pytest.mark.parametrize("numbers", [FIRST, BORDERS, LAST, [0, 1, 2, 3, 4, 5]], ids=["first", "borders", "last", "all"])
def test_with_the_finished_sound_times_and_samples_are_the_same(
    bulk: Studio, tmp_path: Path, numbers: list[int]
) -> None:
    film = copy_of(bulk, tmp_path)
    replaced(film, numbers)
    assert looks(film) == looks(bulk)
    assert inspection.samples_of(bulk.tools, "-i", str(playlist(film))) == inspection.samples_of(
        bulk.tools, "-i", str(playlist(bulk))
    )
    assert inspection.play(bulk.tools, playlist(film), tmp_path, sound=True).complaints == ""


def test_without_the_finished_sound_times_are_the_same_and_samples_lie_within_a_millisecond(
    bulk: Studio, tmp_path: Path
) -> None:
    film = copy_of(bulk, tmp_path)
    shutil.rmtree(layout.audio_dir(film.root, 1))
    replaced(film, [0, 1, 3, 5])
    assert looks(film) == looks(bulk)
    own, run = (inspection.samples_of(bulk.tools, "-i", str(playlist(one)))[::2] for one in (film, bulk))
    assert len(own) == len(run)
    for number in (0, 1, 3, 5):
        middle = round(sound.RATE * (bulk.timeline.grid.start(number) + 1))
        places = range(middle, middle + 6000, 3)
        loud = sum(abs(run[place]) for place in places)
        # Matroska's clock ticks in milliseconds, so a beginning in the middle is only known that well.
        assert any(sum(abs(run[at] - own[at + lag]) for at in places) < loud / 3 for lag in range(-48, 49))
    assert inspection.play(bulk.tools, playlist(film), tmp_path, sound=True).complaints == ""


def test_every_rendition_is_mixed_at_its_own_size(tools: Tools, tmp_path: Path) -> None:
    source = tmp_path / "film.mp4"
    sources.ffmpeg(
        tools,
        "-f",
        "lavfi",
        "-i",
        "color=gray:s=1920x1080:r=5:d=5",
        *sources.beeps(5),
        *sources.H264,
        *sources.AAC,
        str(source),
    )
    film = Studio(tmp_path / "media", source, tools)
    film.probe()
    film.do("segment", 1, "720p")  # before anything else is there
    alone = film.segments("720p")[1].read_bytes()
    film.sound()
    film.chunks()
    assert film.segments("720p")[1].read_bytes() != alone  # the bulk one replaces it
    before = {name: [inspection.segment(tools, file) for file in film.segments(name)] for name in ("720p", "1080p")}
    film.segments("1080p")[1].unlink()
    film.do("segment", 1, "1080p")
    assert [inspection.segment(tools, file) for file in film.segments("1080p")] == before["1080p"] == before["720p"]
    film.do("finish")
    rules.check(film.folder, tools)


def test_a_segment_that_is_there_already_stays(bulk: Studio, tmp_path: Path) -> None:
    film = copy_of(bulk, tmp_path)
    before = film.segments()[4].read_bytes()
    film.do("segment", 4, "480p")
    assert film.segments()[4].read_bytes() == before
