"""Players choose the rendition by what the line carries, and nobody asks them to."""

from __future__ import annotations

from math import sqrt

import m3u8
import pytest
from playwright.sync_api import Page

from tests.acceptance.support import Up, until
from tests.browser.players import Player, address

pytestmark = pytest.mark.browser

MASTER = "/media/hls/1/master.m3u8"


@pytest.fixture
def slow(site: Up) -> float:
    """Bits per second that suffice for 480p and not for 720p of the film, which is finished now."""
    cookie = site.log_in()
    until(lambda: site.get("/api/admin/videos/1/", cookie)["status"] == "ready", 300)
    master = m3u8.loads(site.request(MASTER, cookie=cookie)[2].decode())
    rates = [playlist.stream_info.bandwidth for playlist in master.playlists]
    assert rates[0] < rates[1] / 2 < rates[2] / 4
    return sqrt(rates[0] * rates[1])


def test_hls_js_follows_the_line_down_and_up_with_a_playback_token_and_no_cookies(
    guest: Player, site: Up, page: Page, slow: float
) -> None:
    # It looks ahead and back for a moment only, so that it decides often.
    brief = {"maxBufferLength": 4, "maxMaxBufferLength": 4, "abrEwmaFastVoD": 0.1, "abrEwmaSlowVoD": 0.2}
    guest.hls_js(address(site), credentials=False, rate=2, **brief)
    guest.wait_for_picture(1080)
    guest.line(slow)
    guest.wait_for_picture(480)
    guest.do("video.playbackRate = 1")
    guest.play_on()
    guest.line()
    guest.do("video.playbackRate = 2")
    guest.wait_for_picture(1080)
    guest.play_on()
    assert guest.ask("hls.autoLevelEnabled")  # nobody asked for a level
    assert guest.seen["back"] == 0
    assert page.context.cookies(site.url) == []


def test_chromium_keeps_to_480p_on_a_slow_line_and_goes_up_on_a_fast_one(
    visitor: Player, site: Up, slow: float
) -> None:
    visitor.line(slow)
    visitor.native(f"{site.url}{MASTER}", rate=2)
    visitor.wait("video.currentTime > 5")  # on a fast line it is at 1080p from the second segment on
    assert visitor.ask("video.videoHeight") == 480
    visitor.line()
    visitor.do("video.playbackRate = 4")
    visitor.wait_for_picture(1080)
    visitor.play_on()
    assert visitor.seen["back"] == 0
