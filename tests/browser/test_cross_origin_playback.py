"""Pages of another origin on the same host: Chromium's own player with cookies and with a token.

hls.js plays so in test_switching.py and test_ten_minutes.py.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.support.players import Player, playback_url
from tests.support.videoflix_process import VideoflixProcess

pytestmark = pytest.mark.browser


def test_chromium_plays_with_a_playback_token_and_no_cookies(guest: Player, site: VideoflixProcess, page: Page) -> None:
    guest.native(playback_url(site), rate=4)
    guest.wait("video.currentTime > 5")
    assert page.context.cookies(site.url) == []


@pytest.mark.parametrize("cors", ["", "use-credentials"])
def test_chromium_plays_with_cookies_from_another_origin(visitor: Player, site: VideoflixProcess, cors: str) -> None:
    visitor.native(f"{site.url}/media/hls/1/480p/index.m3u8", rate=4, cors=cors)
    visitor.wait("video.currentTime > 5")
