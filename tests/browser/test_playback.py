"""Films in a real browser, from a whole Videoflix as `make run` starts it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.acceptance.support import Up

pytestmark = pytest.mark.browser

_PLAY = """
url => {
  const video = document.createElement('video');
  video.muted = true;
  window.said = [];
  for (const event of ['error', 'ended']) video.addEventListener(event, () => said.push(event));
  document.body.replaceChildren(video);
  video.src = url;
  video.playbackRate = 4;
  return video.play();
}
"""


@pytest.mark.parametrize("playlist", ["480p/index.m3u8", "master.m3u8"])
def test_chromium_plays_a_film_over_the_borders_of_its_chunks(signed_in: Page, site: Up, playlist: str) -> None:
    signed_in.evaluate(_PLAY, f"/media/hls/1/{playlist}")
    signed_in.wait_for_function("said.length || document.querySelector('video').currentTime > 13", timeout=60_000)
    assert signed_in.evaluate("said") == []
    video = "document.querySelector('video')"
    assert signed_in.evaluate(f"{video}.duration") == pytest.approx(40, abs=0.1)
    assert signed_in.evaluate(f"{video}.getVideoPlaybackQuality().totalVideoFrames") > 0
    assert signed_in.evaluate(f"{video}.buffered.length") == 1  # no hole between segments


def test_chromium_jumps_to_the_end_and_comes_to_it(signed_in: Page, site: Up) -> None:
    signed_in.evaluate(_PLAY, "/media/hls/1/720p/index.m3u8")
    signed_in.evaluate("document.querySelector('video').currentTime = 37")
    signed_in.wait_for_function("said.length", timeout=60_000)
    assert signed_in.evaluate("said") == ["ended"]


def test_a_page_without_a_session_plays_nothing(page: Page, site: Up) -> None:
    page.goto(f"{site.url}/healthz")
    assert page.evaluate("async () => (await fetch('/media/hls/1/480p/0000.ts')).status") == 401
