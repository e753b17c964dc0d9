"""A film of ten minutes, watched from a moment after its import on, while nearly all of it is still to be encoded."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.players import Player
from tests.support.videoflix_process import VideoflixProcess
from tests.support.waiting import block_until
from transcode.ffmpeg.binaries import FfmpegBinaries

pytestmark = pytest.mark.browser

MINUTES = 10
RATE = 10  # frames a second: the worker encodes as many as it can meanwhile, for nobody
LAST_SECONDS = 40  # of the film, that are watched
PATIENCE = 20_000  # milliseconds that existing players wait for a segment
HEIGHTS = {"480p": 480, "720p": 720, "1080p": 1080}


def shade(minute: int) -> int:
    """How bright the lower half of the picture is in a minute of the film."""
    return 20 + 22 * minute


def make_film(tools: FfmpegBinaries, folder: Path) -> Path:
    """One second for each minute and some sound are encoded, and copied again and again."""

    def ffmpeg(*arguments: str) -> None:
        subprocess.run([tools.ffmpeg, "-nostdin", "-v", "error", *arguments], cwd=folder, check=True)

    boxes = "".join(
        f"drawbox=y=ih/2:h=ih/2:t=fill:color=0x{3 * f'{shade(minute):02x}'}:enable='eq(floor(t),{minute})',"
        for minute in range(MINUTES)
    )
    picture = f"testsrc2=size=480x270:rate={RATE}:duration={MINUTES},{boxes}scale=1920:1080:flags=neighbor"
    ffmpeg(
        "-f", "lavfi", "-i", picture, "-c:v", "libx264", "-preset", "ultrafast", "-crf", "30", "-pix_fmt", "yuv420p",
        "-g", str(RATE), "-f", "segment", "-segment_time", "1", "-reset_timestamps", "1", "%d.mkv",
    )  # fmt: skip
    # RATE and 1000 whole frames of sound and picture: no seam.
    ffmpeg("-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000:duration=32", "-c:a", "ac3", "sound.mkv")
    (folder / "list").write_text("".join(f"file {minute}.mkv\nduration 1\n" * 60 for minute in range(MINUTES)))
    ffmpeg(
        "-f", "concat", "-i", "list", "-stream_loop", "-1", "-i", "sound.mkv", "-t", str(60 * MINUTES),
        "-map", "0:v", "-map", "1:a", "-c", "copy", "film.mp4",
    )  # fmt: skip
    return folder / "film.mp4"


@dataclass(frozen=True)
class LongFilm:
    """As it is on the site."""

    site: VideoflixProcess
    id: int
    cookie: str

    @property
    def url(self) -> str:
        return f"{self.site.url}/media/hls/{self.id}"

    def finished(self) -> set[int]:
        """The segments that are there in every rendition."""
        folder = self.site.folder / "media" / "hls" / str(self.id)
        return set.intersection(*({int(file.stem) for file in (folder / name).glob("*.ts")} for name in HEIGHTS))

    def left(self) -> list[Path]:
        """All files and folders in the media folder that are this film's."""
        return [path for path in (self.site.folder / "media").rglob(f"{self.id}*") if path.stem == str(self.id)]


@pytest.fixture(scope="module")
def film(site: VideoflixProcess, tools: FfmpegBinaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LongFilm]:
    """Imported a moment ago; deleted in the middle of the work, after which nothing is left of it."""
    source = make_film(tools, tmp_path_factory.mktemp("ten"))
    imported = site.command("import", str(source), "--title", "Ten minutes")
    found = re.search(r"is video (\d+)", imported.stdout)
    assert found, imported.stdout + imported.stderr
    film = LongFilm(site, int(found[1]), site.log_in())
    block_until(lambda: site.request(f"/media/hls/{film.id}/master.m3u8", cookie=film.cookie)[0] == 200, 60)
    yield film
    assert len(film.left()) >= 3  # source, thumbnail and segments
    assert site.request(f"/api/admin/videos/{film.id}/", method="DELETE", cookie=film.cookie)[0] == 200
    block_until(lambda: not film.left(), 30)
    assert not [one for one in site.processes() if f"/{film.id}.mp4" in " ".join(one.cmdline())]


def smooth(player: Player) -> bool:
    """Whether a viewer got every part without waiting longer than players do, and without a step back."""
    return bool(player.seen["stall"] < PATIENCE and player.seen["back"] == 0)


def test_a_viewer_starts_seeks_switches_and_reaches_the_end(visitor: Player, film: LongFilm) -> None:
    visitor.hls_js(f"{film.url}/master.m3u8", credentials=True, startLevel=0, rate=4)
    visitor.play_on(4)
    assert visitor.luma == pytest.approx(shade(0), abs=3)
    visitor.do(f"video.currentTime = {60 * MINUTES - LAST_SECONDS}")
    visitor.play_on()
    assert visitor.luma == pytest.approx(shade(MINUTES - 1), abs=3)
    state = film.site.get(f"/api/admin/videos/{film.id}/", film.cookie)
    assert state["status"] == "processing"
    assert state["progress"] < 25
    # The bulk work is in the first minutes; only what the viewer jumped to is there of the others.
    assert not film.finished() & set(range(60, 120))
    visitor.do("video.playbackRate = 2")  # a switch comes up to two segments later, and the film must not end before
    for level, height in enumerate(HEIGHTS.values()):
        visitor.do(f"hls.nextLevel = {level}")
        visitor.wait_for_picture(height)
        visitor.play_on()
    switched = visitor.ask("video.currentTime")
    visitor.do("video.playbackRate = 8")
    visitor.wait("seen.ended")
    assert smooth(visitor)
    assert visitor.ask("video.currentTime") == pytest.approx(60 * MINUTES, abs=3 / RATE)
    # No hole since the last switch, at which hls.js throws away what lies behind it, when it gets round to that.
    assert visitor.ask("video.buffered.start(video.buffered.length - 1)") <= switched


def test_chromium_plays_the_end_at_each_resolution(visitor: Player, film: LongFilm) -> None:
    place = 60 * MINUTES - LAST_SECONDS / 3
    for name, height in HEIGHTS.items():
        visitor.native(f"{film.url}/{name}/index.m3u8", at=place, rate=4, cors="use-credentials")
        visitor.wait_for_picture(height)
        visitor.play_on()
        assert visitor.ask("video.duration") == pytest.approx(60 * MINUTES, abs=0.1)
        assert visitor.luma == pytest.approx(shade(MINUTES - 1), abs=3)
        assert smooth(visitor)
        place = visitor.ask("video.currentTime")
    visitor.do("video.playbackRate = 8")
    visitor.wait("seen.ended")
    assert visitor.ask("video.getVideoPlaybackQuality().totalVideoFrames") > 0
    assert visitor.ask("video.buffered.length") == 1
