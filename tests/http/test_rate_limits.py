"""Who tries too often has to wait: by client address, by account, behind proxies, and without Redis."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.support.http_client import HttpClient, HttpResponse
from tests.support.processes import server_process
from tests.support.sites import running_site
from tests.support.users import ADDRESS, PASSWORD, sign_up
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


async def test_password_guessing_is_limited_and_locks_no_owner_out(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    limited = {"rate_limit_factor": 0.05, "trusted_proxies": 1, "password_memory_mib": 8, "password_iterations": 1}
    async with running_site(settings, **limited) as (client, services):
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        right, home = {"email": ADDRESS, "password": PASSWORD}, "198.51.100.1"
        assert (await client.post("/api/login/", right, X_Forwarded_For=home)).status == 200
        for number in range(4):  # of 5: one was the owner's own
            assert (await attempt(client, X_Forwarded_For=f"192.0.2.{number}")).status == 400
        assert (await attempt(client, X_Forwarded_For="192.0.2.0")).status == 429
        assert (await attempt(client, X_Forwarded_For="192.0.2.99")).status == 429
        assert any("call=login by=account client=192.0.2.99" in record.message for record in caplog.records)
        assert (await client.post("/api/login/", right, X_Forwarded_For="192.0.2.99")).status == 429
        for _ in range(2):
            assert (await client.post("/api/login/", right, X_Forwarded_For=home)).status == 200
        assert (await attempt(client, X_Forwarded_For=home)).status == 400
        assert (await attempt(client, X_Forwarded_For=home)).status == 429


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


async def test_without_redis_people_get_in_and_the_log_says_so(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "own_redis"
    home.mkdir()
    server = servers.redis(home)
    with processes.running(server):
        opened = running_site(settings, redis_url=SecretStr(server.url))
        client, services = await opened.__aenter__()
        await sign_up(client, services)
        begin = time.monotonic()
        server_process(server).suspend()  # it hangs
        await client.log_in(ADDRESS, PASSWORD)
        assert any(record.message.startswith("attempts not counted") for record in caplog.records)
        server_process(server).kill()
    try:
        for _ in range(3):
            await client.log_in(ADDRESS, PASSWORD)
        assert (await client.get("/api/me/")).status == 200
        assert (await client.post("/api/logout/")).status == 200
        assert time.monotonic() - begin < 20
    finally:
        await opened.__aexit__(None, None, None)
