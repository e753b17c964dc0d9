"""Who tries too often has to wait: by client address, by account, behind proxies, and without Redis."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.support.http_client import HttpClient, HttpResponse
from tests.support.processes import server_process
from tests.support.sites import running_site
from tests.support.users import ADDRESS, PASSWORD, deliver_mails, link_parameters, sign_up
from videoflix.accounts import rate_limits
from videoflix.embedded import processes, servers
from videoflix.settings import Settings


async def attempt(client: HttpClient, address: str = ADDRESS, **headers: str) -> HttpResponse:
    return await client.post("/api/login/", {"email": address, "password": "a wrong one"}, **headers)


async def test_an_account_takes_a_few_wrong_passwords_and_then_none(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_site(settings, rate_limit_factor=0.5) as (client, services):
        await sign_up(client, services)
        for address in (ADDRESS, "unknown@example.org"):
            for _ in range(5):
                assert (await attempt(client, address)).status == 400
            answer = await attempt(client, f" {address.upper()}", Origin="http://localhost:5500")
            assert answer.status == 429
            seconds = int(answer.headers["Retry-After"])
            assert 0 < seconds <= 600
            assert answer.json == {"detail": f"Request was throttled. Expected available in {seconds} seconds."}
            assert "retry-after" in answer.headers["Access-Control-Expose-Headers"]
        right = await client.post("/api/login/", {"email": ADDRESS, "password": PASSWORD})
        assert right.status == 429
        assert any(r.message.startswith("excess_rate_limit_exceeded call=login by=pair") for r in caplog.records)


async def test_a_right_password_makes_up_for_wrong_ones(settings: Settings) -> None:
    async with running_site(settings, rate_limit_factor=0.5) as (client, services):
        await sign_up(client, services)
        for _ in range(3):
            for _ in range(4):
                assert (await attempt(client)).status == 400
            await client.log_in(ADDRESS, PASSWORD)


# Of 100 attempts an hour 5 remain, of 30 of a network 2.
LIMITED: dict[str, object] = {"rate_limit_factor": 0.05, "trusted_proxies": 1}
RIGHT = {"email": ADDRESS, "password": PASSWORD}
HOME, NEW_PLACE = "198.51.100.1", "203.0.113.77"


async def log_in_from(client: HttpClient, address: str) -> int:
    """Sign in from there, with a client that has no cookies."""
    client.cookies = {}
    return (await client.post("/api/login/", RIGHT, X_Forwarded_For=address)).status


async def guess_from(client: HttpClient, *addresses: str) -> list[int]:
    """Wrong passwords with a client without cookies."""
    client.cookies = {}
    return [(await attempt(client, X_Forwarded_For=address)).status for address in addresses]


@pytest.mark.parametrize("network", [["192.0.2.1"], [f"192.0.2.{n}" for n in range(40)]])
async def test_one_network_keeps_no_owner_out_of_a_new_place(settings: Settings, network: list[str]) -> None:
    async with running_site(settings, **LIMITED) as (client, services):
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        statuses = await guess_from(client, *(network * 40)[:40])
        assert statuses.count(400) <= 2  # guesses that were looked at
        for place in (NEW_PLACE, HOME):
            assert await log_in_from(client, place) == 200


async def test_guessing_from_everywhere_is_slowed_but_locks_no_owner_out(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "_TURN_S", 0.05)  # at this factor a second
    monkeypatch.setattr(rate_limits, "_LONGEST_TURN_S", 3.0)
    async with running_site(settings, **LIMITED) as (client, services):
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        assert await log_in_from(client, HOME) == 200
        # Of 5: one was the owner's own.
        assert await guess_from(client, *(f"192.0.{n}.1" for n in range(4))) == [400] * 4
        client.cookies = {}
        begun = time.monotonic()
        calls = [attempt(client, X_Forwarded_For=f"192.0.{n}.1") for n in range(10, 30)]
        owner = asyncio.ensure_future(log_in_from(client, NEW_PLACE))
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
            owner = asyncio.ensure_future(log_in_from(client, NEW_PLACE))
        assert await log_in_from(client, HOME) == 200  # has not to wait for strangers


async def test_a_browser_that_has_signed_in_before_is_no_stranger_anywhere(settings: Settings) -> None:
    """Also at an address from which somebody guesses."""
    async with running_site(settings, **LIMITED) as (client, services):
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        await services.accounts.make_admin("other@example.org", PASSWORD)
        assert await log_in_from(client, HOME) == 200
        known = {"known_device": client.cookies["known_device"]}
        assert await guess_from(client, *["192.0.2.1"] * 8) == [400] + [429] * 7
        assert await log_in_from(client, "192.0.2.1") == 429
        for _ in range(2):
            client.cookies = dict(known)
            assert (await client.post("/api/login/", RIGHT, X_Forwarded_For="192.0.2.1")).status == 200
            assert client.cookies["known_device"] == known["known_device"]
        for forged in (
            "x",
            "x.y",
            known["known_device"][:-1],
            f"x{known['known_device']}",
            "\u00e9.\u00e9",
            "." * 4000,
        ):
            client.cookies = {"known_device": forged}
            assert (await client.post("/api/login/", RIGHT, X_Forwarded_For="192.0.2.1")).status == 429, forged
        client.cookies = dict(known)  # opens nothing, and is worth nothing for another account
        assert (await client.get("/api/me/")).status == 401
        others = {"email": "other@example.org", "password": "a wrong one"}
        statuses = [(await client.post("/api/login/", others, X_Forwarded_For=HOME)).status for _ in range(3)]
        assert statuses == [400, 429, 429]
        client.cookies = dict(known)
        assert [(await attempt(client, X_Forwarded_For=HOME)).status for _ in range(2)] == [400, 429]


async def test_a_password_set_by_mail_lets_its_owner_in_whatever_strangers_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "_LONGEST_TURN_S", 0.0)
    async with running_site(settings, **LIMITED) as (client, services):
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        assert 429 in await guess_from(client, *(f"192.0.{n}.1" for n in range(9)))
        assert await log_in_from(client, NEW_PLACE) == 429  # no turn is to be had
        client.cookies = {}
        await client.post("/api/password_reset/", {"email": ADDRESS}, X_Forwarded_For=NEW_PLACE)
        uid, token = link_parameters(*await deliver_mails(services))
        body = {"new_password": PASSWORD, "confirm_password": PASSWORD}
        path = f"/api/password_confirm/{uid}/{token}/"
        assert (await client.post(path, body, X_Forwarded_For=NEW_PLACE)).status == 200
        assert (await client.post("/api/login/", RIGHT, X_Forwarded_For="203.0.113.200")).status == 200


async def test_a_client_is_counted_over_all_accounts_and_every_call_for_itself(settings: Settings) -> None:
    async with running_site(settings, rate_limit_factor=0.1, trusted_proxies=1) as (client, _):
        for path, most in (("/api/password_reset/", 3), ("/api/resend_activation/", 3)):
            for number in range(most):
                body = {"email": f"viewer{number}@example.org"}
                assert (await client.post(path, body, X_Forwarded_For="192.0.2.1")).status == 200
            more = {"email": "one-more@example.org"}
            assert (await client.post(path, more, X_Forwarded_For="192.0.2.1")).status == 429
            # Whatever a client writes stands before what the proxy wrote.
            assert (await client.post(path, more, X_Forwarded_For="10.9.8.7, 192.0.2.1")).status == 429
            assert (await client.post(path, more, X_Forwarded_For="192.0.2.1, 192.0.2.2")).status == 200


async def test_nobody_believes_the_header_without_a_proxy(settings: Settings) -> None:
    async with running_site(settings, rate_limit_factor=0.1) as (client, _):
        statuses = []
        for number in range(4):
            body = {"email": f"viewer{number}@example.org"}
            statuses.append(
                (await client.post("/api/password_reset/", body, X_Forwarded_For=f"192.0.2.{number}")).status
            )
        assert statuses == [200, 200, 200, 429]


async def test_a_limit_of_nothing_counts_nobody(settings: Settings) -> None:
    async with running_site(settings, rate_limit_factor=0.0) as (client, _):
        for _ in range(12):
            assert (await client.post("/api/password_reset/", {"email": ADDRESS})).status == 200


async def test_without_redis_people_get_in_and_the_log_says_so(settings: Settings, tmp_path: Path) -> None:
    home = tmp_path / "own_redis"
    home.mkdir()
    server = servers.make_redis_server(home)
    with processes.run_server(server):
        opened = running_site(settings, redis_url=SecretStr(server.url))
        client, services = await opened.__aenter__()
        await sign_up(client, services)
        begin = time.monotonic()
        server_process(server).suspend()  # it hangs
        with capture_logs() as logs:
            await client.log_in(ADDRESS, PASSWORD)
        assert any(entry["event"] == "redis_call_failed" and entry["purpose"] == "rate_limits" for entry in logs)
        server_process(server).kill()
    try:
        for _ in range(3):
            await client.log_in(ADDRESS, PASSWORD)
        assert (await client.get("/api/me/")).status == 200
        assert (await client.post("/api/logout/")).status == 200
        assert time.monotonic() - begin < 20
    finally:
        await opened.__aexit__(None, None, None)
