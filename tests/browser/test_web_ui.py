"""The web page at `/` in a real Chromium, operated as a user does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.videoflix_process import VideoflixProcess
from tests.support.waiting import block_until

pytestmark = pytest.mark.browser

DEMO = "Welcome to Videoflix"
PASSWORD = "blue-Tractor-77"


def fill_in(page: Page, form: str, **fields: str) -> None:
    for name, text in fields.items():
        page.locator(f"#{form} [name={name}]").fill(text)
    page.locator(f"#{form} button").click()


def sign_in(page: Page, site: VideoflixProcess, password: str = "", place: str = "") -> None:
    banner = site.banner()
    page.goto(f"{site.url}/{place}")
    fill_in(page, "sign-in", email=banner["Sign in"], password=password or banner["Password"])


def position(page: Page) -> float:
    return float(page.evaluate("document.querySelector('video').currentTime"))


def link(site: VideoflixProcess, subject: str, address: str) -> str:
    """The last part of the link in a mail, as the page's own address wants it."""

    def found() -> list[str]:
        mails = [mail.read_text() for mail in (site.folder / "var/mail").glob(f"{subject}*.eml")]
        return [mail for mail in mails if f"To: {address}" in mail]

    block_until(found, 30)
    written = re.search(r"^http://\S+\?uid=(\S+)&token=(\S+)$", found()[0], re.MULTILINE)
    assert written
    return "/".join(written.groups())


def test_a_phone_user_signs_in_watches_the_demo_video_and_signs_out(page: Page, site: VideoflixProcess) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if "Security Policy" in said.text else None)
    page.set_viewport_size({"width": 360, "height": 740})
    sign_in(page, site)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name=DEMO).press("Enter")
    block_until(lambda: position(page) > 1, 60)
    page.go_back()
    page.get_by_label("Search").fill("no such film")
    expect(page.get_by_text("Nothing found.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert errors == []


def test_a_player_that_gave_up_on_a_busy_server_is_restarted(page: Page, site: VideoflixProcess) -> None:
    refused: list[str] = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=503)

    page.route("**/0000.ts", refuse, times=1)
    sign_in(page, site)
    page.get_by_role("link", name=DEMO).click()
    expect(page.get_by_text("One moment, the server is busy.")).to_be_visible(timeout=30_000)
    block_until(lambda: position(page) > 1, 60)
    expect(page.get_by_role("status")).to_be_empty()
    assert len(refused) == 1
    page.context.set_offline(True)
    page.evaluate("document.querySelector('video').currentTime = 35")
    expect(page.get_by_text("The server cannot be reached at the moment.")).to_be_visible(timeout=30_000)
    page.context.set_offline(False)
    block_until(lambda: position(page) > 35.5, 60)
    expect(page.get_by_role("status")).to_be_empty()


def test_whoever_is_signed_out_while_watching_signs_in_and_watches_on(page: Page, site: VideoflixProcess) -> None:
    sign_in(page, site, place="#film/1")
    block_until(lambda: position(page) > 1, 60)
    page.context.clear_cookies()
    page.evaluate("document.querySelector('video').currentTime = 30")
    page.evaluate("document.querySelector('video').load()")
    expect(page.get_by_text("You have been signed out. Please sign in again.")).to_be_visible(timeout=30_000)
    fill_in(page, "sign-in", email=site.banner()["Sign in"], password=site.banner()["Password"])
    block_until(lambda: position(page) > 1, 60)


def test_a_visitor_registers_confirms_and_resets_the_password(page: Page, site: VideoflixProcess) -> None:
    page.goto(site.url)
    fill_in(page, "sign-in", email="anna@example.org", password=PASSWORD)
    expect(page.get_by_role("status")).to_have_text("Please check your input and try again.")
    page.get_by_role("link", name="Create an account").click()
    fill_in(page, "register", email="anna@example.org", password=PASSWORD, confirmed_password="another")
    expect(page.get_by_role("status")).to_have_text("Passwords do not match.")
    fill_in(page, "register", email="anna@example.org", password=PASSWORD, confirmed_password=PASSWORD)
    expect(page.get_by_text("We have sent an email to anna@example.org.")).to_be_visible()
    page.goto(f"{site.url}/#activate/{link(site, 'Confirm', 'anna@example.org')}")
    expect(page.get_by_text("Your address is confirmed.")).to_be_visible()
    page.get_by_role("link", name="Forgot your password?").click()
    fill_in(page, "forgot", email="anna@example.org")
    page.goto(f"{site.url}/#reset/{link(site, 'Reset', 'anna@example.org')}")
    fill_in(page, "reset", new_password=f"{PASSWORD}-2", confirm_password=f"{PASSWORD}-2")
    expect(page.get_by_text("Your password was changed.")).to_be_visible()
    fill_in(page, "sign-in", email="anna@example.org", password=f"{PASSWORD}-2")
    expect(page.get_by_role("link", name=DEMO)).to_be_visible()
    expect(page.get_by_text("Upload a video")).to_be_hidden()


@pytest.mark.parametrize(
    "place",
    [
        "reset/..%2f..%2fapi/me", "reset/../logout", "reset/MQ/a/b", "reset/MQ", "reset/MQ/a?b", "reset//x",
        "activate/MQ/" + "x" * 513, "activate/%2e%2e/%2e%2e", "activate/MQ/a%0Ab", "reset/MQ/a.b", "reset",
    ],
)  # fmt: skip
def test_an_address_that_is_no_link_of_a_mail_asks_the_server_nothing(
    page: Page, site: VideoflixProcess, place: str
) -> None:
    asked: list[str] = []
    page.goto(site.url)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.url}/#{place}")
    expect(page.get_by_text("This link is not complete.")).to_be_visible()
    assert [url for url in asked if "/api/" in url] == []


def test_what_is_put_into_a_path_of_the_api_is_one_part_of_it(page: Page, site: VideoflixProcess) -> None:
    page.goto(site.url)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    for place in ("film/../me", "film/1%2f..", "film/x", "film"):
        page.goto(f"{site.url}/#{place}")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    made = "import('/page/api.js').then(({path}) => path`/api/video/${'1/../me?a=b#c'}/`)"
    assert page.evaluate(made) == "/api/video/1%2F..%2Fme%3Fa%3Db%23c/"


def test_the_reason_of_a_failed_video_stays_visible(page: Page, site: VideoflixProcess, tmp_path: Path) -> None:
    letter = tmp_path / "My_letter.mp4"
    letter.write_text("This is a letter to my aunt and no film. " * 50)
    sign_in(page, site)
    page.get_by_text("Upload a video").click()
    page.get_by_label("File").set_input_files(letter)
    page.evaluate("clearTimeout = setTimeout = () => {}")  # else a look at films in work may renew the sign-in
    page.wait_for_load_state("networkidle")
    page.context.clear_cookies(name="access_token")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("“My letter”")).to_be_visible(timeout=30_000)
    page.reload()
    expect(page.get_by_text("“My letter” failed: This file is not a video")).to_be_visible(timeout=30_000)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete: My letter").click()
    expect(page.get_by_text("“My letter”")).to_be_hidden()
