"""Players choose the rendition by what the line carries, and nobody asks them to."""

from __future__ import annotations

from math import sqrt

import m3u8
import pytest
from playwright.sync_api import Page

from tests.support.players import Player, playback_url
from tests.support.videoflix_process import VideoflixProcess
from tests.support.waiting import block_until

pytestmark = pytest.mark.browser

MASTER = "/media/hls/1/master.m3u8"


@pytest.fixture
def slow(site: VideoflixProcess) -> float:
    """Bits per second that suffice for 480p and not for 720p of the film, which is finished now."""
    cookie = site.log_in()
    block_until(lambda: site.get("/api/admin/videos/1/", cookie)["status"] == "ready", 300)
    master = m3u8.loads(site.request(MASTER, cookie=cookie)[2].decode())
    rates = [playlist.stream_info.bandwidth for playlist in master.playlists]
    assert rates[0] < rates[1] / 2 < rates[2] / 4
    return sqrt(rates[0] * rates[1])


def test_hls_js_adapts_to_the_bandwidth_with_a_playback_token(
    guest: Player, site: VideoflixProcess, page: Page, slow: float
) -> None:
    # It looks ahead and back for a moment only, so that it decides often.
    brief = {"maxBufferLength": 4, "maxMaxBufferLength": 4, "abrEwmaFastVoD": 0.1, "abrEwmaSlowVoD": 0.2}
    guest.hls_js(playback_url(site), credentials=False, rate=2, **brief)
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


def test_chromium_adapts_to_the_bandwidth(visitor: Player, site: VideoflixProcess, slow: float) -> None:
    visitor.line(slow)
    visitor.native(f"{site.url}{MASTER}", rate=2)
    visitor.wait("video.currentTime > 5")  # on a fast line it is at 1080p from the second segment on
    assert visitor.ask("video.videoHeight") == 480
    visitor.line()
    visitor.do("video.playbackRate = 4")
    visitor.wait_for_picture(1080)
    visitor.play_on()
    assert visitor.seen["back"] == 0
