"""Films in a real browser, from a whole Videoflix as `make run` starts it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.support.players import Player
from tests.support.videoflix_process import VideoflixProcess

pytestmark = pytest.mark.browser


def test_chromium_plays_a_video_over_the_borders_of_its_chunks(signed_in: Player) -> None:
    signed_in.native("/media/hls/1/480p/index.m3u8", rate=4)
    signed_in.wait("video.currentTime > 13")
    assert signed_in.ask("video.duration") == pytest.approx(40, abs=0.1)
    assert signed_in.ask("video.getVideoPlaybackQuality().totalVideoFrames") > 0
    assert signed_in.ask("video.buffered.length") == 1  # no hole between segments


def test_chromium_jumps_to_the_end_and_comes_to_it(signed_in: Player) -> None:
    signed_in.native("/media/hls/1/720p/index.m3u8", at=37, rate=4)
    signed_in.wait("seen.ended")


def test_a_page_without_a_session_plays_nothing(page: Page, site: VideoflixProcess) -> None:
    page.goto(f"{site.url}/healthz")
    assert page.evaluate("async () => (await fetch('/media/hls/1/480p/0000.ts')).status") == 401
