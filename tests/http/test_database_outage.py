"""A database server that is killed or hangs: what needs it is 503 in time, the rest goes on, and all is well after.

The driver's limits are cut to a tenth here; they add up to six seconds.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.support.http_client import HttpClient
from tests.support.processes import server_process
from tests.support.sites import running_site
from tests.support.tokens import token_expiring_in
from tests.support.users import ADDRESS, PASSWORD, registration_body, sign_up
from tests.support.videos import make_video, open_video_store
from tests.support.waiting import wait_until
from videoflix.bootstrap import clients
from videoflix.embedded import processes, servers
from videoflix.settings import Settings

AWAY = {"detail": "The service is not available at the moment."}
PATIENCE = 20  # seconds, on a machine that does much else


async def test_an_unavailable_database_is_503_in_time_until_it_is_back(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert clients._HEARTBEAT_INTERVAL_MS + clients._CONNECT_TIMEOUT_MS + clients._SERVER_SELECTION_TIMEOUT_MS == 6000
    monkeypatch.setattr(clients, "_HEARTBEAT_INTERVAL_MS", 500)  # the least that the driver takes
    monkeypatch.setattr(clients, "_CONNECT_TIMEOUT_MS", 400)
    monkeypatch.setattr(clients, "_SERVER_SELECTION_TIMEOUT_MS", 200)
    (tmp_path / "own").mkdir()
    server = servers.make_database_server(tmp_path / "own")
    own: dict[str, Any] = {"mongodb_uri": SecretStr(server.url), "rate_limit_factor": 100.0}
    async with AsyncExitStack() as stack:
        running = stack.enter_context(ExitStack())
        running.enter_context(processes.run_server(server))
        client, services = await stack.enter_async_context(running_site(settings, **own))
        await sign_up(client, services)
        store, database_client = open_video_store(services.settings)
        await store.add(make_video(1))
        database_client.close()
        assert [video["id"] for video in (await client.get("/api/video/")).json] == [1]
        later, _ = await stack.enter_async_context(running_site(settings, **own))  # has not read the catalogue yet
        later.cookies = {"access_token": client.cookies["access_token"]}

        server_process(server).suspend()
        await asyncio.gather(everything_else_goes_on(client, settings), nothing_is_listed(later))
        server_process(server).resume()
        await all_is_well(client, later)

        server_process(server).kill()
        await everything_else_goes_on(client, settings)
        running.close()
        running.enter_context(processes.run_server(server))
        await all_is_well(client, later)


async def nothing_is_listed(later: HttpClient) -> None:
    for _ in range(2):
        answer = await later.get("/api/video/")
        assert (answer.status, answer.json) == (503, AWAY)  # and not an empty list


async def everything_else_goes_on(client: HttpClient, settings: Settings) -> None:
    begin = time.monotonic()
    calls: list[tuple[str, str, Any]] = [
        ("GET", "/api/me/", None),
        ("DELETE", "/api/me/", {"password": PASSWORD}),
        ("POST", "/api/login/", {"email": ADDRESS, "password": PASSWORD}),
        ("POST", "/api/register/", registration_body("another@example.org")),
        ("POST", "/api/password_reset/", {"email": ADDRESS}),
        ("POST", "/api/password_confirm/MQ/token/", {"new_password": PASSWORD, "confirm_password": PASSWORD}),
        ("POST", "/api/token/refresh/", None),
        ("GET", "/api/activate/MQ/token/", None),
        *[("GET", "/api/me/sessions/", None)] * 12,  # more than the driver has threads
    ]
    kept = dict(client.cookies)
    answers = await asyncio.gather(*(client.fetch(*call, Cookie=cookie(kept)) for call in calls))
    for call, answer in zip(calls, answers, strict=True):
        assert (answer.status, answer.json, answer.headers["Retry-After"]) == (503, AWAY, "5"), call
    ready = await client.get("/readyz")
    assert (ready.status, ready.json["database"], ready.json["redis"]) == (503, "unreachable", "ok")
    assert (await client.get("/healthz")).status == 200
    for token in (kept["access_token"], token_expiring_in(client, settings, 60)):
        answer = await client.get("/api/video/", Cookie=cookie({**kept, "access_token": token}))
        assert (answer.status, len(answer.json)) == (200, 1)
    without = cookie({"refresh_token": kept["refresh_token"]})
    assert (await client.get("/api/video/", Cookie=without)).status == 503  # and not 401: nobody is signed out by it
    assert time.monotonic() - begin < PATIENCE


async def all_is_well(client: HttpClient, later: HttpClient) -> None:
    async def is_ready() -> bool:
        return (await client.get("/readyz")).status == (await later.get("/readyz")).status == 200

    await wait_until(is_ready, PATIENCE)
    assert (await client.post("/api/token/refresh/")).status == 200
    assert (await client.get("/api/me/")).json["email"] == ADDRESS
    await client.log_in(ADDRESS, PASSWORD)

    async def is_listed() -> bool:
        answer = await later.get("/api/video/")
        return answer.status == 200 and len(answer.json) == 1

    await wait_until(is_listed, PATIENCE)


def cookie(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
