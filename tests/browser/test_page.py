"""The page at `/`, as a newcomer clicks through it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.acceptance.support import Up, until

pytestmark = pytest.mark.browser


def sign_in(page: Page, site: Up, password: str = "") -> None:
    banner = site.banner()
    page.goto(banner["Watch"])
    page.get_by_label("Email").fill(banner["Sign in"])
    page.get_by_label("Password").fill(password or banner["Password"])
    page.get_by_role("button", name="Sign in").click()


def test_a_newcomer_signs_in_with_a_phone_watches_the_demo_film_and_signs_out(page: Page, site: Up) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if "Security Policy" in said.text else None)
    page.set_viewport_size({"width": 360, "height": 740})
    sign_in(page, site)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Welcome to Videoflix").click()
    until(lambda: page.evaluate("document.querySelector('video').currentTime") > 1, 60)
    page.get_by_role("button", name="Back to all films").click()
    page.get_by_label("Search").fill("no such film")
    expect(page.get_by_text("Nothing found.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    assert errors == []


def test_a_player_that_gave_up_because_the_server_was_busy_is_asked_again(page: Page, site: Up) -> None:
    refused: list[str] = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=503)

    page.route("**/0000.ts", refuse, times=1)
    sign_in(page, site)
    page.get_by_role("button", name="Welcome to Videoflix").click()
    expect(page.get_by_text("One moment, the server is busy.")).to_be_visible(timeout=30_000)
    until(lambda: page.evaluate("document.querySelector('video').currentTime") > 1, 60)
    expect(page.get_by_text("One moment, the server is busy.")).to_be_hidden()
    assert len(refused) == 1


def test_a_wrong_password_is_told(page: Page, site: Up) -> None:
    sign_in(page, site, "not this one")
    expect(page.get_by_role("status")).to_have_text("Please check your input and try again.")


def test_what_is_no_film_is_told_with_its_reason_also_after_half_an_hour(page: Page, site: Up, tmp_path: Path) -> None:
    letter = tmp_path / "My_letter.mp4"
    letter.write_text("This is a letter to my aunt and no film. " * 50)
    sign_in(page, site)
    page.get_by_label("File").set_input_files(letter)
    page.evaluate("later = () => {}")  # else a look at films in work may renew the sign-in
    page.wait_for_load_state("networkidle")
    page.context.clear_cookies(name="access_token")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("“My letter”")).to_be_visible(timeout=30_000)
    page.reload()
    expect(page.get_by_text("“My letter” failed: This file is not a film")).to_be_visible(timeout=30_000)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete", exact=True).first.click()
    expect(page.get_by_text("“My letter”")).to_be_hidden()
