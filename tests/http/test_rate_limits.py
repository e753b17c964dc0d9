"""Rate limits by client address and by account, behind proxies, and without Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from structlog.testing import capture_logs

from tests.support.http_client import HttpClient, HttpResponse
from tests.support.log_events import find_events
from tests.support.processes import server_process
from tests.support.sites import running_site
from tests.support.users import ADDRESS, PASSWORD, deliver_mails, link_parameters, sign_up
from videoflix.accounts import rate_limits
from videoflix.accounts.rate_limits import LimitedAction, RateLimiter
from videoflix.embedded import processes, servers
from videoflix.settings import Settings


async def attempt(client: HttpClient, address: str = ADDRESS, **headers: str) -> HttpResponse:
    return await client.post("/api/login/", {"email": address, "password": "a wrong one"}, **headers)


async def test_an_account_allows_a_few_wrong_passwords(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
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
        assert find_events(caplog.records, "excess_rate_limit_exceeded", action="login", limit="pair")


async def test_a_successful_login_resets_the_limit(settings: Settings) -> None:
    async with running_site(settings, rate_limit_factor=0.5) as (client, services):
        await sign_up(client, services)
        for _ in range(3):
            for _ in range(4):
                assert (await attempt(client)).status == 400
            await client.log_in(ADDRESS, PASSWORD)


# At this factor 5 of 100 attempts per hour remain, and 2 of the 30 of a network.
LIMITED: dict[str, object] = {"rate_limit_factor": 0.05, "trusted_proxies": 1}
RIGHT = {"email": ADDRESS, "password": PASSWORD}
HOME, NEW_PLACE = "198.51.100.1", "203.0.113.77"


async def log_in_from(client: HttpClient, address: str) -> int:
    """Log in from an address without cookies; return the status."""
    client.cookies = {}
    return (await client.post("/api/login/", RIGHT, X_Forwarded_For=address)).status


async def guess_from(client: HttpClient, *addresses: str) -> list[int]:
    """Try a wrong password from each address without cookies; return the statuses."""
    client.cookies = {}
    return [(await attempt(client, X_Forwarded_For=address)).status for address in addresses]


@pytest.mark.parametrize("network", [["192.0.2.1"], [f"192.0.2.{n}" for n in range(40)]])
async def test_one_network_cannot_lock_out_an_owner_at_a_new_place(settings: Settings, network: list[str]) -> None:
    async with running_site(settings, **LIMITED) as (client, services):
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        statuses = await guess_from(client, *(network * 40)[:40])
        assert statuses.count(400) <= 2  # guesses that were checked
        for place in (NEW_PLACE, HOME):
            assert await log_in_from(client, place) == 200


async def test_distributed_guessing_is_slowed_and_locks_no_owner_out(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "_TURN_INTERVAL_S", 0.05)  # one second at this factor
    monkeypatch.setattr(rate_limits, "_MAX_TURN_WAIT_S", 3.0)
    async with running_site(settings, **LIMITED) as (client, services):
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        assert await log_in_from(client, HOME) == 200
        # Of 5 attempts, one was the owner's.
        assert await guess_from(client, *(f"192.0.{n}.1" for n in range(4))) == [400] * 4
        client.cookies = {}
        started_at = time.monotonic()
        calls = [attempt(client, X_Forwarded_For=f"192.0.{n}.1") for n in range(10, 30)]
        owner = asyncio.ensure_future(log_in_from(client, NEW_PLACE))
        answers = await asyncio.gather(*calls)
        checked = [answer for answer in answers if answer.status == 400]
        assert len(checked) <= 2 + time.monotonic() - started_at  # one per second
        assert {answer.status for answer in answers} == {400, 429}
        events = find_events(caplog.records, "excess_rate_limit_exceeded", action="login", limit="account")
        assert any(" client=192.0." in event.getMessage() for event in events)
        attempts = 1
        while (await owner) != 200:  # too many were ahead of it
            attempts += 1
            assert attempts < 20
            await asyncio.sleep(0.3)
            owner = asyncio.ensure_future(log_in_from(client, NEW_PLACE))
        assert await log_in_from(client, HOME) == 200  # does not queue with strangers


async def test_a_browser_that_has_logged_in_before_is_known_anywhere(settings: Settings) -> None:
    """Also at an address from which passwords are guessed."""
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
        client.cookies = dict(known)  # gives access to nothing, and is ignored for another account
        assert (await client.get("/api/me/")).status == 401
        others = {"email": "other@example.org", "password": "a wrong one"}
        statuses = [(await client.post("/api/login/", others, X_Forwarded_For=HOME)).status for _ in range(3)]
        assert statuses == [400, 429, 429]
        client.cookies = dict(known)
        assert [(await attempt(client, X_Forwarded_For=HOME)).status for _ in range(2)] == [400, 429]


async def test_a_password_reset_lets_the_owner_in_despite_an_attack(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "_MAX_TURN_WAIT_S", 0.0)
    async with running_site(settings, **LIMITED) as (client, services):
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        assert 429 in await guess_from(client, *(f"192.0.{n}.1" for n in range(9)))
        assert await log_in_from(client, NEW_PLACE) == 429  # no turn is free
        client.cookies = {}
        await client.post("/api/password_reset/", {"email": ADDRESS}, X_Forwarded_For=NEW_PLACE)
        uid, token = link_parameters(*await deliver_mails(services))
        body = {"new_password": PASSWORD, "confirm_password": PASSWORD}
        path = f"/api/password_confirm/{uid}/{token}/"
        assert (await client.post(path, body, X_Forwarded_For=NEW_PLACE)).status == 200
        assert (await client.post("/api/login/", RIGHT, X_Forwarded_For="203.0.113.200")).status == 200


async def test_a_client_is_counted_per_action_over_all_accounts(settings: Settings) -> None:
    async with running_site(settings, rate_limit_factor=0.1, trusted_proxies=1) as (client, _):
        for path, limit in (("/api/password_reset/", 3), ("/api/resend_activation/", 3)):
            for number in range(limit):
                body = {"email": f"viewer{number}@example.org"}
                assert (await client.post(path, body, X_Forwarded_For="192.0.2.1")).status == 200
            more = {"email": "one-more@example.org"}
            assert (await client.post(path, more, X_Forwarded_For="192.0.2.1")).status == 429
            # What a client sends comes before what the proxy adds.
            assert (await client.post(path, more, X_Forwarded_For="10.9.8.7, 192.0.2.1")).status == 429
            assert (await client.post(path, more, X_Forwarded_For="192.0.2.1, 192.0.2.2")).status == 200


async def test_the_forwarded_header_is_ignored_without_a_proxy(settings: Settings) -> None:
    async with running_site(settings, rate_limit_factor=0.1) as (client, _):
        statuses = []
        for number in range(4):
            body = {"email": f"viewer{number}@example.org"}
            statuses.append(
                (await client.post("/api/password_reset/", body, X_Forwarded_For=f"192.0.2.{number}")).status
            )
        assert statuses == [200, 200, 200, 429]


async def test_concurrent_counts_and_resets_take_one_round_trip(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`clear` of the `limits` library deletes both keys of a window at the same time, and our client batches them."""
    batches: list[list[str]] = []
    send = rate_limits._BatchingRedis._send_batch

    async def record(self: rate_limits._BatchingRedis, commands: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        batches.append([str(name) for name, *_ in commands])
        return await send(self, commands)

    monkeypatch.setattr(rate_limits._BatchingRedis, "_send_batch", record)
    async with Redis.from_url(redis_url) as client:
        limiter = RateLimiter(client, "a secret")
        await limiter.hit(LimitedAction.LOGIN, "192.0.2.1", ADDRESS)
        batches.clear()
        await asyncio.gather(*(limiter.hit(LimitedAction.REGISTER, f"192.0.2.{n}") for n in range(5)))
        assert batches == [["EVALSHA"] * 5]
        batches.clear()
        await limiter.reset(LimitedAction.LOGIN, "192.0.2.1", ADDRESS)
        assert [sorted(batch) for batch in batches] == [["DEL", "DEL", "SET"]]
        assert [key async for key in client.scan_iter("videoflix:limits:*pair*")] == []


async def test_a_factor_of_zero_turns_the_limits_off(settings: Settings) -> None:
    async with running_site(settings, rate_limit_factor=0.0) as (client, _):
        for _ in range(12):
            assert (await client.post("/api/password_reset/", {"email": ADDRESS})).status == 200


async def test_without_redis_nothing_is_limited_and_that_is_logged(settings: Settings, tmp_path: Path) -> None:
    home = tmp_path / "own_redis"
    home.mkdir()
    server = servers.make_redis_server(home)
    with processes.run_server(server):
        opened = running_site(settings, redis_url=SecretStr(server.url))
        client, services = await opened.__aenter__()
        await sign_up(client, services)
        started_at = time.monotonic()
        server_process(server).suspend()  # so that it hangs
        with capture_logs() as logs:
            await client.log_in(ADDRESS, PASSWORD)
        assert any(entry["event"] == "redis_call_failed" and entry["purpose"] == "rate_limits" for entry in logs)
        server_process(server).kill()
    try:
        for _ in range(3):
            await client.log_in(ADDRESS, PASSWORD)
        assert (await client.get("/api/me/")).status == 200
        assert (await client.post("/api/logout/")).status == 200
        assert time.monotonic() - started_at < 20
    finally:
        await opened.__aexit__(None, None, None)
