"""Pages of another origin on the same host: hls.js and Chromium's own player, with cookies and with a token."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.acceptance.support import Up

pytestmark = pytest.mark.browser

_LOG_IN = """
async ({url, given}) => (await fetch(url + '/api/login/', {
  method: 'POST', credentials: 'include', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(given),
})).status
"""
_HLS = """
({url, credentials}) => {
  const video = document.createElement('video');
  video.muted = true;
  document.body.replaceChildren(video);
  window.fatal = [];
  window.levels = [];
  const hls = window.hls = new Hls({startLevel: 0, xhrSetup: xhr => { xhr.withCredentials = credentials; }});
  hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) fatal.push(data.details); });
  hls.on(Hls.Events.LEVEL_SWITCHED, (_, data) => levels.push(data.level));
  hls.on(Hls.Events.MANIFEST_PARSED, () => { video.playbackRate = 4; video.play(); });
  hls.loadSource(url);
  hls.attachMedia(video);
}
"""
_NATIVE = """
url => {
  const video = document.createElement('video');
  video.muted = true;
  document.body.replaceChildren(video);
  window.fatal = [];
  video.addEventListener('error', () => fatal.push(video.error.message));
  video.src = url;
  video.playbackRate = 4;
  return video.play();
}
"""


def wait_for(page: Page, what: str) -> None:
    page.wait_for_function(f"fatal.length || ({what})", timeout=60_000)
    assert page.evaluate("fatal") == []


def address(site: Up) -> dict[str, Any]:
    """For players without cookies."""
    given = site.get("/api/video/1/playback/", site.log_in())
    assert isinstance(given, dict)
    return given


def test_hls_js_plays_and_switches_with_cookies_from_another_origin(page: Page, site: Up, other_origin: str) -> None:
    page.goto(other_origin)
    banner = site.banner()
    given = {"email": banner["Sign in"], "password": banner["Password"]}
    assert page.evaluate(_LOG_IN, {"url": site.url, "given": given}) == 200
    page.evaluate(_HLS, {"url": f"{site.url}/media/hls/1/master.m3u8", "credentials": True})
    wait_for(page, "levels.at(-1) === 0 && document.querySelector('video').currentTime > 1")
    page.evaluate("hls.nextLevel = 1")
    wait_for(page, "levels.at(-1) === 1")
    reached = page.evaluate("document.querySelector('video').currentTime")
    wait_for(page, f"document.querySelector('video').currentTime > {reached + 1}")


def test_hls_js_plays_with_a_playback_token_and_no_cookies(page: Page, site: Up, other_origin: str) -> None:
    page.goto(other_origin)
    page.evaluate(_HLS, {"url": address(site)["master_url"], "credentials": False})
    wait_for(page, "document.querySelector('video').currentTime > 5")
    assert page.context.cookies(site.url) == []


def test_chromium_plays_with_a_playback_token_and_no_cookies(page: Page, site: Up, other_origin: str) -> None:
    page.goto(other_origin)
    page.evaluate(_NATIVE, address(site)["master_url"])
    wait_for(page, "document.querySelector('video').currentTime > 5")
    assert page.context.cookies(site.url) == []
