"""Colours of published films as Chromium draws them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.support import sample_videos
from tests.support.players import Player
from tests.support.sample_videos import PATCHES, colour_tags, patches
from tests.support.video_builder import VideoBuilder
from transcode.ffmpeg import video_filters
from transcode.ffmpeg.binaries import FfmpegBinaries

pytestmark = pytest.mark.browser

_PIXELS = """(() => {
  const {videoWidth: width, videoHeight: height} = video;
  const context = Object.assign(document.createElement('canvas'), {width, height}).getContext('2d');
  context.drawImage(video, 0, 0);
  const at = number => context.getImageData(width * (number + 0.5) / COUNT, height / 2, 1, 1).data;
  return [...Array(COUNT).keys()].map(number => [...at(number)].slice(0, 3));
})()""".replace("COUNT", str(len(PATCHES)))

_SD = "zscale=m=bt470bg:r=limited,format=yuv420p"
_HD = "zscale=m=bt709:r=limited,format=yuv420p"
_FULL = "zscale=m=bt470bg:r=full,format=yuvj420p"
_WIDE = "zscale=m=bt2020nc:r=limited:tin=bt709:t=bt709:pin=bt709:p=bt2020,format=yuv420p10le"
_X264 = ("-c:v", "libx264", "-qp", "1")


class _Files(SimpleHTTPRequestHandler):
    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".m3u8": "application/vnd.apple.mpegurl",
        ".ts": "video/mp2t",
    }

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def files(tmp_path: Path) -> Iterator[str]:
    """The address of the test's folder."""
    (tmp_path / "index.html").write_text("<!doctype html><title>player</title>")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("filters", "codec", "suffix"),
    [
        (_SD, [*_X264, *colour_tags("bt470bg", "bt470bg", "smpte170m", "tv")], "mp4"),
        (_SD, [*_X264, *colour_tags("bt470bg", "bt470bg", "gamma28", "tv")], "mp4"),
        (_SD, [*_X264, *colour_tags("smpte170m", "smpte170m", "smpte170m", "tv")], "mp4"),
        (_SD, _X264, "mkv"),
        (_SD, [*_X264, *colour_tags("bt470bg", "bt470bg", "gamma28", "tv"), "-s", "1792x256"], "mp4"),
        (_FULL, ["-c:v", "mjpeg", "-q:v", "1"], "avi"),
        (_FULL, [*_X264, *colour_tags("bt470bg", "bt470bg", "smpte170m", "pc")], "mp4"),
        (_HD, [*_X264, *colour_tags("bt709", "bt709", "gamma22", "tv")], "mp4"),
        (_WIDE, ["-c:v", "ffv1", *colour_tags("bt2020nc", "bt2020", "bt2020-10", "tv")], "mkv"),
        ("null", ["-c:v", "qtrle", "-pix_fmt", "rgb24"], "mov"),
    ],
    ids=["phone", "gamma28", "ntsc", "untagged", "large", "mjpeg", "full_range", "gamma22", "bt2020", "rgb"],
)
def test_chromium_draws_the_colours_of_the_source(
    page: Page, files: str, tools: FfmpegBinaries, tmp_path: Path, filters: str, codec: list[str], suffix: str
) -> None:
    tools = FfmpegBinaries(tools.ffmpeg, tools.ffprobe)
    source = tmp_path / f"film.{suffix}"
    sample_videos.run_ffmpeg(tools, *patches(filters, 2), *codec, str(source))
    film = VideoBuilder(tmp_path / "media", source, tools)
    film.probe()
    film.encode_chunks()
    page.goto(files)
    player = Player(page)
    player.native(f"{files}/media/hls/1/{film.presentation.top_rendition.name}/index.m3u8")
    player.wait("seen.ended")
    found = player.ask(_PIXELS)
    # Chromium's own arithmetic for BT.709 without a graphics card is some levels off in strong colours.
    tolerance = 3 if video_filters.color_tags(film.presentation)[1] == "smpte170m" else 8
    for number, (drawn, patch) in enumerate(zip(found, PATCHES, strict=True)):
        most = 3 if number < 2 else tolerance  # greys come first
        assert max(abs(one - other) for one, other in zip(drawn, patch, strict=True)) <= most, f"{drawn} for {patch}"
