"""A real Chromium, headless, driven by playwright."""

from __future__ import annotations

import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.players import Player
from tests.support.processes import require_program
from tests.support.videoflix_process import VideoflixProcess, running_videoflix
from tests.support.waiting import block_until
from transcode.ffmpeg.binaries import FfmpegBinaries
from videoflix.embedded import demo

HLS_JS = "1.7.4"

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # A test has nobody who clicks.
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of this package; every page has a profile of its own.

    Not for the session: while playwright runs, no other event loop can.
    """
    program = require_program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page without cookies."""
    context = chromium.new_context()
    page = context.new_page()
    yield page
    context.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """A page that is served is no news."""


@pytest.fixture(scope="package")
def other_origin(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[str]:
    """Pages of another origin on the same host, with hls.js from the npm registry at `/hls.min.js`."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "index.html").write_text("<!doctype html><title>player</title><script src=hls.min.js></script>")
    (folder / "hls.min.js").write_bytes(_hls_js(pytestconfig))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _hls_js(config: pytest.Config) -> bytes:
    """Fetched once and kept in pytest's cache."""
    assert config.cache is not None
    kept = Path(config.cache.mkdir("hls.js")) / f"hls-{HLS_JS}.min.js"
    if not kept.exists():
        argv = [require_program("npm"), "pack", "--silent", f"hls.js@{HLS_JS}"]
        name = subprocess.run(argv, cwd=kept.parent, capture_output=True, text=True, check=True).stdout.strip()
        with tarfile.open(kept.parent / name) as package:
            script = package.extractfile("package/dist/hls.min.js")
            assert script is not None
            kept.write_bytes(script.read())
        (kept.parent / name).unlink()
    return kept.read_bytes()


@pytest.fixture(scope="package")
def demo_film(tmp_path_factory: pytest.TempPathFactory, tools: FfmpegBinaries) -> Path:
    """Like that of a first start, with fewer pictures a second, for all of them are encoded."""
    place = tmp_path_factory.mktemp("demo") / "film.mp4"
    demo.make_demo_video(tools.ffmpeg, place, frame_rate=10)
    return place


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, other_origin: str, demo_film: Path) -> Iterator[VideoflixProcess]:
    """Running, with the demo film in work, open to the pages of the other origin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORS_ORIGINS", other_origin)
        patch.setenv("WORKER_SLOTS", "1")  # with many, a film of ten minutes is done before a viewer jumps to its end
        with running_videoflix(tmp_path_factory.mktemp("site"), "--no-demo") as running:
            cookie = running.log_in()
            imported = running.command("import", str(demo_film), "--title", demo.DEMO_VIDEO.title)
            assert imported.returncode == 0, imported.stderr
            block_until(lambda: running.get("/api/video/", cookie), 60)
            yield running


_LOG_IN = """
async ({url, given}) => (await fetch(url + '/api/login/', {
  method: 'POST', credentials: 'include', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(given),
})).status
"""


def _log_in(page: Page, site: VideoflixProcess) -> None:
    banner = site.banner()
    given = {"email": banner["Sign in"], "password": banner["Password"]}
    assert page.evaluate(_LOG_IN, {"url": site.url, "given": given}) == 200


@pytest.fixture
def signed_in(page: Page, site: VideoflixProcess) -> Player:
    """In a page of the site itself, with the cookies of a session."""
    page.goto(f"{site.url}/healthz")
    _log_in(page, site)
    return Player(page)


@pytest.fixture
def visitor(page: Page, site: VideoflixProcess, other_origin: str) -> Player:
    """In a page of the other origin, with the cookies of a session."""
    page.goto(other_origin)
    _log_in(page, site)
    return Player(page)


@pytest.fixture
def guest(page: Page, other_origin: str) -> Player:
    """In a page of the other origin, without cookies."""
    page.goto(other_origin)
    return Player(page)
