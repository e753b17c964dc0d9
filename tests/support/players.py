"""A video in a page, played by Chromium itself or by hls.js, and watched while it plays."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.support.videoflix_process import VideoflixProcess

# A stall is as long as the playing position stood still while it should have moved, in milliseconds.
_WATCH = """
() => {
  if (window.hls) window.hls.destroy();
  const video = document.createElement('video');
  const seen = {errors: [], ended: false, stall: 0, back: 0};
  Object.assign(window, {video, seen, hls: null});
  video.muted = true;
  video.addEventListener('error', () => seen.errors.push(video.error.message));
  video.addEventListener('ended', () => { seen.ended = true; });
  document.body.replaceChildren(video);
  let place = 0, moved = performance.now(), jumped = false;
  video.addEventListener('seeking', () => { jumped = true; });
  const look = () => {
    if (window.video !== video) return;
    if (!jumped) seen.back = Math.max(seen.back, place - video.currentTime);
    if (video.currentTime !== place || video.paused || video.readyState < 1) moved = performance.now();
    seen.stall = Math.max(seen.stall, performance.now() - moved);
    place = video.currentTime;
    jumped = video.seeking;
    setTimeout(look, 50);
  };
  look();
}
"""
_NATIVE = """
({url, at, rate, cors}) => {
  if (cors) video.crossOrigin = cors;
  video.src = url;
  if (at) video.currentTime = at;
  video.playbackRate = rate;
  video.play().catch(error => seen.errors.push(String(error)));
}
"""
_HLS_JS = """
({url, rate, credentials, config}) => {
  window.hls = new Hls({xhrSetup: xhr => { xhr.withCredentials = credentials; }, ...config});
  hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) seen.errors.push(data.details); });
  hls.on(Hls.Events.MANIFEST_PARSED, () => { video.playbackRate = rate; video.play(); });
  hls.loadSource(url);
  hls.attachMedia(video);
}
"""
_LUMA = """
() => {
  const context = Object.assign(document.createElement('canvas'), {width: 16, height: 16}).getContext('2d');
  context.drawImage(video, 0, 0, 16, 16);
  return context.getImageData(8, 12, 1, 1).data[0];
}
"""


def playback_url(site: VideoflixProcess) -> str:
    """Of the first film, for players without cookies."""
    return str(site.get("/api/video/1/playback/", site.log_in())["master_url"])


class Player:
    """One element at a time in a page; whatever is opened next takes its place."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._network = page.context.new_cdp_session(page)

    def native(self, url: str, at: float = 0, rate: float = 1, cors: str = "") -> None:
        """Play with what Chromium has itself; `cors`: the element's crossOrigin."""
        self._page.evaluate(_WATCH)
        self._page.evaluate(_NATIVE, {"url": url, "at": at, "rate": rate, "cors": cors})

    def hls_js(self, url: str, *, credentials: bool, rate: float = 1, **config: Any) -> None:
        """Play with hls.js and these options of its own."""
        self._page.evaluate(_WATCH)
        self._page.evaluate(_HLS_JS, {"url": url, "rate": rate, "credentials": credentials, "config": config})

    def line(self, bits: float = 0) -> None:
        """The page loads at most so many bits per second from now on; 0: as fast as it can."""
        self._network.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": 0, "downloadThroughput": bits / 8 or -1, "uploadThroughput": -1},
        )

    def wait(self, what: str) -> None:
        """For a condition on `video`, `hls` and `seen`; an error of the player ends it at once."""
        self._page.wait_for_function(f"seen.errors.length || ({what})", timeout=60_000)
        assert self.seen["errors"] == [], self.seen["errors"]

    def wait_for_picture(self, lines: int) -> None:
        """Wait until pictures of so many lines are shown."""
        self.wait(f"video.videoHeight === {lines}")

    def play_on(self, seconds: float = 1) -> None:
        """Wait until it has played so much more of the video."""
        self.wait(f"!video.seeking && video.currentTime > {self.ask('video.currentTime') + seconds}")

    def do(self, what: str) -> None:
        """Run JavaScript with `video` and `hls`."""
        self._page.evaluate(f"() => {{ {what} }}")

    def ask(self, what: str) -> Any:
        """The value of an expression with `video` and `hls`."""
        return self._page.evaluate(f"() => {what}")

    @property
    def seen(self) -> dict[str, Any]:
        """`errors`, `ended`, the longest `stall` in milliseconds, the longest step `back` in seconds."""
        found = self._page.evaluate("seen")
        assert isinstance(found, dict)
        return found

    @property
    def luma(self) -> int:
        """Of a place in the lower half of the picture that is shown, 0..255."""
        found = self._page.evaluate(_LUMA)
        assert isinstance(found, int)
        return found
