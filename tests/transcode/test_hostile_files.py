"""Files that are no films, or lie, or break off: refused with a sentence, or handled, within seconds."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.transcode import sources
from tests.transcode.studio import Studio
from transcode import looking
from transcode.errors import MediaError
from transcode.plans.source import GUARDS
from transcode.tools import Tools

NO_FILM = "This file is not a film"
INCOMPLETE = "This film is incomplete"


@dataclass(frozen=True)
class Originals:
    """Whole files of 12 seconds, to be spoiled."""

    mp4: Path  # with its index in front
    late_index: Path
    mkv: Path
    avi: Path
    ts: Path


@pytest.fixture(scope="session")
def originals(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Originals:
    folder = tmp_path_factory.mktemp("originals")
    made = Originals(*(folder / name for name in ("front.mp4", "late.mp4", "film.mkv", "film.avi", "film.ts")))
    film = [*sources.picture(seconds=12), *sources.beeps(12), *sources.H264, *sources.AAC]
    sources.ffmpeg(tools, *film, "-movflags", "+faststart", str(made.mp4))
    for copy in (made.late_index, made.mkv, made.ts):
        sources.ffmpeg(tools, "-i", str(made.mp4), "-c", "copy", str(copy))
    sources.ffmpeg(tools, "-i", str(made.mp4), *sources.MPEG4, *sources.PCM, str(made.avi))
    return made


@pytest.fixture
def studio(tools: Tools, tmp_path: Path) -> Callable[[bytes | Path, str], Studio]:
    """A film to be made of these bytes under that name."""

    def of(content: bytes | Path, name: str = "film.mp4") -> Studio:
        source = tmp_path / name
        source.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        return Studio(tmp_path / "media", source, tools)

    return of


Of = Callable[..., Studio]


def refusal(studio: Studio) -> str:
    """The sentence with which the probe refuses a file for good."""
    with pytest.raises(MediaError) as caught:
        studio.probe()
    assert caught.value.hopeless
    assert not studio.folder.exists()
    return caught.value.sentence


@pytest.mark.parametrize("name", ["film.mp4", "film.m3u8", "film.ffconcat", "film.mkv"])
def test_a_playlist_of_other_peoples_films_is_refused_under_any_name(
    studio: Of, originals: Originals, name: str
) -> None:
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:12\n#EXTINF:12,\n{originals.ts}\n#EXT-X-ENDLIST\n"
    concat = f"ffconcat version 1.0\nfile {originals.mp4}\n"
    for text in (playlist, concat):
        assert refusal(studio(text.encode(), name)).startswith(NO_FILM)


@pytest.mark.parametrize(
    "content",
    [b"hello\n" * 9999, bytes(300_000), os.urandom(300_000), b"\x1a\x45\xdf\xa3" + os.urandom(5000), b"RIFF"],
    ids=["text", "zeros", "noise", "a_beginning_of_matroska", "four_bytes"],
)
def test_what_is_no_film_is_refused(studio: Of, content: bytes) -> None:
    assert refusal(studio(content)).startswith(NO_FILM)


def test_an_empty_file_is_refused(studio: Of) -> None:
    assert refusal(studio(b"")) == "This file is empty."


@pytest.mark.parametrize("name", ["x.mp3", "x.m4a", "x.flac", "x.oga", "x.wav", "cover.m4a"])
def test_what_has_no_picture_is_refused(studio: Of, tools: Tools, tmp_path: Path, name: str) -> None:
    made, cover = tmp_path / name, tmp_path / "cover.jpg"
    sources.ffmpeg(tools, *sources.beeps(1), *(["-c:a", "libvorbis"] if name == "x.oga" else []), str(made))
    if made.stem == "cover":
        sources.ffmpeg(tools, *sources.picture(seconds=0.04), "-frames:v", "1", str(cover))
        alone = tmp_path / "x.m4a"
        made.rename(alone)
        inputs = ["-i", str(alone), "-i", str(cover), "-map", "0", "-map", "1", "-c", "copy"]
        sources.ffmpeg(tools, *inputs, "-disposition:v", "attached_pic", str(made))
    assert refusal(studio(made)) == "This file has sound but no picture."


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.gif", "cover.mp4"])
def test_a_still_picture_is_refused(studio: Of, tools: Tools, tmp_path: Path, name: str) -> None:
    only_cover = ["-c:v", "mjpeg", "-disposition:v", "attached_pic"] if name == "cover.mp4" else []
    sources.ffmpeg(tools, *sources.picture(seconds=0.04), "-frames:v", "1", *only_cover, str(tmp_path / name))
    assert refusal(studio(tmp_path / name)) == "This file is a picture and not a film."


@pytest.mark.parametrize("kind", ["mp4", "late_index", "mkv", "avi"])
def test_an_upload_that_breaks_off_is_refused(studio: Of, originals: Originals, kind: str) -> None:
    whole = getattr(originals, kind).read_bytes()
    assert refusal(studio(whole[: len(whole) // 2])).startswith(INCOMPLETE)


def test_a_recording_that_breaks_off_is_as_long_as_what_there_is(studio: Of, originals: Originals) -> None:
    whole = originals.ts.read_bytes()
    assert 5 < studio(whole[: len(whole) // 2], "film.ts").probe().duration < 7


@pytest.mark.parametrize("spoil", [os.urandom, bytes], ids=["noise", "zeros"])
def test_data_that_turns_into_garbage_fails_with_its_place(
    studio: Of, originals: Originals, spoil: Callable[[int], bytes]
) -> None:
    whole = originals.mp4.read_bytes()
    begin = whole.index(b"mdat") + 4 + (len(whole) - whole.index(b"mdat")) // 6
    film = studio(whole[:begin] + spoil(len(whole) - begin))
    film.probe()
    film.do("audio")
    film.do("chunk", 0)  # its last frame stands for what cannot be decoded
    for kind, index in (("chunk", 1), ("segment", 2)):
        with pytest.raises(MediaError, match=r"is damaged: nothing can be decoded at 0:0[48]\.") as caught:
            film.do(kind, index, "480p")
        assert caught.value.hopeless
    assert not film.segments()[2].exists()


def test_a_picture_that_cannot_be_decoded_is_refused(studio: Of, originals: Originals) -> None:
    strange = originals.mkv.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/NEW")
    assert refusal(studio(strange)) == "The picture of this film is in a codec that is not supported."


def test_sound_that_cannot_be_decoded_is_left_out(studio: Of, originals: Originals) -> None:
    film = studio(originals.mkv.read_bytes().replace(b"A_AAC", b"A_NEW"))
    assert film.probe().audio == ()
    film.do("chunk", 0)
    assert film.segments()[0].exists()


def test_a_picture_of_30000_by_30000_is_refused(studio: Of, tools: Tools, tmp_path: Path) -> None:
    source = tmp_path / "small.mkv"
    sources.ffmpeg(tools, *sources.picture(seconds=0.2), "-c:v", "ffv1", str(source))
    whole = bytearray(source.read_bytes())
    place = whole.index(b"\xb0\x81\x40\xba\x81\x24")  # PixelWidth 64, PixelHeight 36, in one byte each
    larger = whole[:place] + b"\xb0\x82\x75\x30\xba\x82\x75\x30" + whole[place + 6 :]
    for element in (b"\xe0", b"\xae", b"\x16\x54\xae\x6b"):  # Video, TrackEntry, Tracks: two bytes longer
        _grow(larger, larger.rindex(element, 0, place) + len(element), 2)
    assert "is too large" in refusal(studio(bytes(larger), "film.mkv"))


def _grow(data: bytearray, place: int, by: int) -> None:
    """Change an EBML size in its place."""
    length = 9 - data[place].bit_length()
    mark = 1 << (7 * length)
    size = int.from_bytes(data[place : place + length], "big") - mark + by
    data[place : place + length] = (size + mark).to_bytes(length, "big")


def test_a_thousand_streams_are_refused(studio: Of, tools: Tools, tmp_path: Path) -> None:
    one, thousand = tmp_path / "one.mkv", tmp_path / "thousand.mkv"
    sources.ffmpeg(tools, *sources.beeps(0.1), *sources.PCM, str(one))
    maps = [option for _ in range(1000) for option in ("-map", "0")]
    sources.ffmpeg(tools, "-i", str(one), *maps, "-c", "copy", str(thousand))
    assert refusal(studio(thousand, "film.mkv")) == "This file has too many streams."


def _promising(mkv: Path, hours: int) -> bytes:
    data = bytearray(mkv.read_bytes())
    struct.pack_into(">d", data, data.index(b"\x44\x89\x88") + 3, hours * 3_600_000.0)
    return bytes(data).replace(b"DURATION", b"DURATI0N")


def test_a_header_that_promises_10000_hours_is_refused(studio: Of, originals: Originals) -> None:
    film = studio(_promising(originals.mkv, 10_000), "film.mkv")
    assert refusal(film) == "The film says that it is longer than 24 hours."


def test_a_header_that_promises_20_hours_does_not_make_the_film_longer(studio: Of, originals: Originals) -> None:
    assert studio(_promising(originals.mkv, 20), "film.mkv").probe().duration == pytest.approx(12, abs=0.1)


@pytest.mark.parametrize(
    "name", ["-i.mp4", 'it\'s "a"\nfilm.mp4', "%04d.mp4", "a:b?c#d.mp4", "ünïcode 🎬.mp4", "|x.mp4"]
)
def test_names_are_names(studio: Of, originals: Originals, name: str) -> None:
    assert studio(originals.mp4, name).probe().segments == 3


def test_a_file_that_is_gone_is_looked_for_again(studio: Of, originals: Originals) -> None:
    film = studio(originals.mp4)
    film.source.unlink()
    with pytest.raises(MediaError) as caught:
        film.probe()
    assert not caught.value.hopeless


def test_a_file_that_is_read_too_slowly_is_looked_at_again(
    studio: Of, originals: Originals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "_PATIENCE", 0.2)
    film, busy = studio(originals.mp4), tmp_path / "busy"
    busy.write_text("#!/bin/sh\nexec sleep 60\n")
    busy.chmod(0o755)
    film.tools = Tools(str(busy), str(busy))
    with pytest.raises(MediaError, match="Reading the film took too long") as caught:
        film.probe()
    assert not caught.value.hopeless


def _noting(program: str, folder: Path) -> Path:
    """A program that notes its arguments, each on a line, and then is the real one."""
    script = folder / Path(program).name
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" "---" >> {folder}/calls\nexec {program} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def test_no_call_opens_a_source_without_its_limits(originals: Originals, tools: Tools, tmp_path: Path) -> None:
    words, source = tmp_path / "words.srt", tmp_path / "film.mkv"
    words.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    inputs = ["-i", str(originals.mkv), "-i", str(words)]
    maps = ["-map", "0", "-map", "0:a", "-map", "1", "-c", "copy", "-c:s", "srt", "-t", "5"]
    sources.ffmpeg(tools, *inputs, *maps, *sources.LIVE, str(source))
    noting = Tools(str(_noting(tools.ffmpeg, tmp_path)), str(_noting(tools.ffprobe, tmp_path)))
    film = Studio(tmp_path / "media", source, noting)
    film.probe()
    film.do("segment", 1, "480p")
    film.make()
    opened = 0
    for call in (tmp_path / "calls").read_text().split("---\n"):
        arguments = call.splitlines()
        for place, argument in enumerate(arguments):
            if argument.endswith(("/film.mkv", "/source.mkv")):
                assert argument.startswith("file:")
                options = "\n".join(arguments[:place]).rpartition("\n-i\nfile:")[2]
                assert "\n".join(GUARDS) in options
                opened += 1
    assert opened >= 10
