"""Who tries too often has to wait: by client address, by account, behind proxies, and without Redis."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from handlers.http.origin import client_address
from tests.http.people import ADDRESS, PASSWORD, join, link, mails, site
from tests.tools import Answer, Browser, process_of
from videoflix.accounts import throttle
from videoflix.accounts.throttle import neighbourhood_of, network_of
from videoflix.embedded import processes, servers
from videoflix.settings import Settings


async def attempt(browser: Browser, address: str = ADDRESS, **headers: str) -> Answer:
    return await browser.post("/api/login/", {"email": address, "password": "a wrong one"}, **headers)


async def test_an_account_takes_a_few_wrong_passwords_and_then_none(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(settings, rate_limit_factor=0.5) as (browser, services):
        await join(browser, services)
        for address in (ADDRESS, "unknown@example.org"):
            for _ in range(5):
                assert (await attempt(browser, address)).status == 400
            answer = await attempt(browser, f" {address.upper()}", Origin="http://localhost:5500")
            assert answer.status == 429
            seconds = int(answer.headers["Retry-After"])
            assert 0 < seconds <= 600
            assert answer.json == {"detail": f"Request was throttled. Expected available in {seconds} seconds."}
            assert "retry-after" in answer.headers["Access-Control-Expose-Headers"]
        right = await browser.post("/api/login/", {"email": ADDRESS, "password": PASSWORD})
        assert right.status == 429
        assert any(r.message.startswith("excess_rate_limit_exceeded call=login by=pair") for r in caplog.records)


async def test_a_right_password_makes_up_for_wrong_ones(settings: Settings) -> None:
    async with site(settings, rate_limit_factor=0.5) as (browser, services):
        await join(browser, services)
        for _ in range(3):
            for _ in range(4):
                assert (await attempt(browser)).status == 400
            await browser.log_in(ADDRESS, PASSWORD)


LIMITED = {"rate_limit_factor": 0.05, "trusted_proxies": 1}  # of 100 attempts an hour 5, of 30 of a network 2
RIGHT = {"email": ADDRESS, "password": PASSWORD}
HOME, NEW_PLACE = "198.51.100.1", "203.0.113.77"


async def right(browser: Browser, address: str) -> int:
    """Sign in from there, by a browser that has no cookies."""
    browser.cookies = {}
    return (await browser.post("/api/login/", RIGHT, X_Forwarded_For=address)).status


async def hammer(browser: Browser, *addresses: str) -> list[int]:
    """Wrong passwords by a browser without cookies."""
    browser.cookies = {}
    return [(await attempt(browser, X_Forwarded_For=address)).status for address in addresses]


@pytest.mark.parametrize("network", [["192.0.2.1"], [f"192.0.2.{n}" for n in range(40)]])
async def test_one_network_keeps_no_owner_out_of_a_new_place(settings: Settings, network: list[str]) -> None:
    async with site(settings, **LIMITED) as (browser, services):
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        statuses = await hammer(browser, *(network * 40)[:40])
        assert statuses.count(400) <= 2  # guesses that were looked at
        for place in (NEW_PLACE, HOME):
            assert await right(browser, place) == 200


async def test_who_guesses_from_everywhere_is_slowed_and_a_right_password_passes_in_its_turn(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "_TURN_S", 0.05)  # at this factor a second
    monkeypatch.setattr(throttle, "_LONGEST_TURN_S", 3.0)
    async with site(settings, **LIMITED) as (browser, services):
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        assert await right(browser, HOME) == 200
        assert await hammer(browser, *(f"192.0.{n}.1" for n in range(4))) == [400] * 4  # of 5: one was the owner's own
        browser.cookies = {}
        begun = time.monotonic()
        calls = [attempt(browser, X_Forwarded_For=f"192.0.{n}.1") for n in range(10, 30)]
        owner = asyncio.ensure_future(right(browser, NEW_PLACE))
        answers = await asyncio.gather(*calls)
        looked_at = [answer for answer in answers if answer.status == 400]
        assert len(looked_at) <= 2 + time.monotonic() - begun  # one a second
        assert {answer.status for answer in answers} == {400, 429}
        assert any("call=login by=account client=192.0." in record.message for record in caplog.records)
        tries = 1
        while (await owner) != 200:  # too many were before it
            tries += 1
            assert tries < 20
            await asyncio.sleep(0.3)
            owner = asyncio.ensure_future(right(browser, NEW_PLACE))
        assert await right(browser, HOME) == 200  # has not to wait for strangers


async def test_a_browser_that_has_signed_in_before_is_no_stranger_anywhere(settings: Settings) -> None:
    """Also at an address from which somebody guesses."""
    async with site(settings, **LIMITED) as (browser, services):
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        await services.accounts.make_admin("other@example.org", PASSWORD)
        assert await right(browser, HOME) == 200
        known = {"known_device": browser.cookies["known_device"]}
        assert await hammer(browser, *["192.0.2.1"] * 8) == [400] + [429] * 7
        assert await right(browser, "192.0.2.1") == 429
        for _ in range(2):
            browser.cookies = dict(known)
            assert (await browser.post("/api/login/", RIGHT, X_Forwarded_For="192.0.2.1")).status == 200
            assert browser.cookies["known_device"] == known["known_device"]
        for forged in (
            "x",
            "x.y",
            known["known_device"][:-1],
            f"x{known['known_device']}",
            "\u00e9.\u00e9",
            "." * 4000,
        ):
            browser.cookies = {"known_device": forged}
            assert (await browser.post("/api/login/", RIGHT, X_Forwarded_For="192.0.2.1")).status == 429, forged
        browser.cookies = dict(known)  # opens nothing, and is worth nothing for another account
        assert (await browser.get("/api/me/")).status == 401
        others = {"email": "other@example.org", "password": "a wrong one"}
        statuses = [(await browser.post("/api/login/", others, X_Forwarded_For=HOME)).status for _ in range(3)]
        assert statuses == [400, 429, 429]
        browser.cookies = dict(known)
        assert [(await attempt(browser, X_Forwarded_For=HOME)).status for _ in range(2)] == [400, 429]


async def test_a_password_that_is_set_by_mail_lets_its_owner_in_whatever_strangers_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "_LONGEST_TURN_S", 0.0)
    async with site(settings, **LIMITED) as (browser, services):
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        assert 429 in await hammer(browser, *(f"192.0.{n}.1" for n in range(9)))
        assert await right(browser, NEW_PLACE) == 429  # no turn is to be had
        browser.cookies = {}
        await browser.post("/api/password_reset/", {"email": ADDRESS}, X_Forwarded_For=NEW_PLACE)
        uid, token = link(*await mails(services))
        body = {"new_password": PASSWORD, "confirm_password": PASSWORD}
        path = f"/api/password_confirm/{uid}/{token}/"
        assert (await browser.post(path, body, X_Forwarded_For=NEW_PLACE)).status == 200
        assert (await browser.post("/api/login/", RIGHT, X_Forwarded_For="203.0.113.200")).status == 200


async def test_a_client_is_counted_over_all_accounts_and_every_call_for_itself(settings: Settings) -> None:
    async with site(settings, rate_limit_factor=0.1, trusted_proxies=1) as (browser, _):
        for path, most in (("/api/password_reset/", 3), ("/api/resend_activation/", 3)):
            for number in range(most):
                body = {"email": f"viewer{number}@example.org"}
                assert (await browser.post(path, body, X_Forwarded_For="192.0.2.1")).status == 200
            more = {"email": "one-more@example.org"}
            assert (await browser.post(path, more, X_Forwarded_For="192.0.2.1")).status == 429
            # Whatever a client writes stands before what the proxy wrote.
            assert (await browser.post(path, more, X_Forwarded_For="10.9.8.7, 192.0.2.1")).status == 429
            assert (await browser.post(path, more, X_Forwarded_For="192.0.2.1, 192.0.2.2")).status == 200


async def test_nobody_believes_the_header_without_a_proxy(settings: Settings) -> None:
    async with site(settings, rate_limit_factor=0.1) as (browser, _):
        statuses = []
        for number in range(4):
            body = {"email": f"viewer{number}@example.org"}
            statuses.append(
                (await browser.post("/api/password_reset/", body, X_Forwarded_For=f"192.0.2.{number}")).status
            )
        assert statuses == [200, 200, 200, 429]


async def test_a_limit_of_nothing_counts_nobody(settings: Settings) -> None:
    async with site(settings, rate_limit_factor=0.0) as (browser, _):
        for _ in range(12):
            assert (await browser.post("/api/password_reset/", {"email": ADDRESS})).status == 200


async def test_without_redis_people_get_in_and_the_log_says_so(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "own_redis"
    home.mkdir()
    server = servers.redis(home)
    with processes.running(server):
        opened = site(settings, redis_url=SecretStr(server.url))
        browser, services = await opened.__aenter__()
        await join(browser, services)
        begin = time.monotonic()
        process_of(server).suspend()  # it hangs
        await browser.log_in(ADDRESS, PASSWORD)
        assert any(record.message.startswith("attempts not counted") for record in caplog.records)
        process_of(server).kill()
    try:
        for _ in range(3):
            await browser.log_in(ADDRESS, PASSWORD)
        assert (await browser.get("/api/me/")).status == 200
        assert (await browser.post("/api/logout/")).status == 200
        assert time.monotonic() - begin < 20
    finally:
        await opened.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("trusted", "header", "client"),
    [
        (0, "192.0.2.1", "203.0.113.9"),
        (1, "", "203.0.113.9"),
        (1, "192.0.2.1", "192.0.2.1"),
        (1, "10.9.8.7, 192.0.2.1", "192.0.2.1"),
        (1, "10.9.8.7,192.0.2.1 ,", "192.0.2.1"),
        (2, "10.9.8.7, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
        (2, "192.0.2.1", "192.0.2.1"),
        (1, "192.0.2.1:50123", "192.0.2.1"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "[2001:DB8::1]", "2001:db8::1"),
        (1, "[2001:db8::1]:50123", "2001:db8::1"),
        (1, "fe80::1%eth0 user=1", "fe80::1"),
        (1, "192.0.2.1, unknown", "203.0.113.9"),
        (1, "192.0.2.1:50123:1", "203.0.113.9"),
        (1, "[192.0.2.1", "203.0.113.9"),
        (1, "192.0.2.1\n", "192.0.2.1"),
        (1, "192.0.2.\u0661", "203.0.113.9"),
    ],
)
def test_the_client_is_whom_the_last_trusted_proxy_saw(trusted: int, header: str, client: str) -> None:
    assert client_address("203.0.113.9", {"X-Forwarded-For": header}, trusted) == client


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", "unknown"),
        ("unix:", "unknown"),
    ],
)
def test_a_household_is_one_client(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("address", "neighbourhood"),
    [
        ("192.0.2.1", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::ffff:192.0.2.1", "192.0.2.0/24"),
        ("unix:", "unknown"),
    ],
)
def test_a_network_is_one_neighbourhood(address: str, neighbourhood: str) -> None:
    assert neighbourhood_of(network_of(address)) == neighbourhood
