"""A database server that is killed or hangs: calls that need it are 503 in time, the rest works, and all recovers.

The driver's timeouts, six seconds in sum, are cut to a tenth here.
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

UNAVAILABLE = {"detail": "The service is not available at the moment."}
TIMEOUT_S = 20  # on a busy machine


async def test_an_unavailable_database_is_503_in_time_until_it_is_back(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert clients._HEARTBEAT_INTERVAL_MS + clients._CONNECT_TIMEOUT_MS + clients._SERVER_SELECTION_TIMEOUT_MS == 6000
    monkeypatch.setattr(clients, "_HEARTBEAT_INTERVAL_MS", 500)  # the minimum of the driver
    monkeypatch.setattr(clients, "_CONNECT_TIMEOUT_MS", 400)
    monkeypatch.setattr(clients, "_SERVER_SELECTION_TIMEOUT_MS", 200)
    (tmp_path / "own").mkdir()
    server = await asyncio.to_thread(servers.make_database_server, tmp_path / "own")
    own: dict[str, Any] = {"mongodb_uri": SecretStr(server.url), "rate_limit_factor": 100.0}
    async with AsyncExitStack() as stack:
        running = ExitStack()
        stack.push_async_callback(asyncio.to_thread, running.close)
        await asyncio.to_thread(running.enter_context, processes.run_server(server))
        client, services = await stack.enter_async_context(running_site(settings, **own))
        await sign_up(client, services)
        store, database_client = open_video_store(services.settings)
        await store.add(make_video(1))
        database_client.close()
        assert [video["id"] for video in (await client.get("/api/video/")).json] == [1]
        # Its site has not read the catalogue yet.
        fresh_client, _ = await stack.enter_async_context(running_site(settings, **own))
        fresh_client.cookies = {"access_token": client.cookies["access_token"]}

        server_process(server).suspend()
        await asyncio.gather(assert_rest_works(client, settings), assert_list_unavailable(fresh_client))
        server_process(server).resume()
        await assert_recovered(client, fresh_client)

        server_process(server).kill()
        await assert_rest_works(client, settings)
        await asyncio.to_thread(running.close)
        await asyncio.to_thread(running.enter_context, processes.run_server(server))
        await assert_recovered(client, fresh_client)


async def assert_list_unavailable(fresh_client: HttpClient) -> None:
    for _ in range(2):
        answer = await fresh_client.get("/api/video/")
        assert (answer.status, answer.json) == (503, UNAVAILABLE)  # and not an empty list


async def assert_rest_works(client: HttpClient, settings: Settings) -> None:
    start = time.monotonic()
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
    cookies_before = dict(client.cookies)
    answers = await asyncio.gather(*(client.fetch(*call, Cookie=cookie_header(cookies_before)) for call in calls))
    for call, answer in zip(calls, answers, strict=True):
        assert (answer.status, answer.json, answer.headers["Retry-After"]) == (503, UNAVAILABLE, "5"), call
    ready = await client.get("/readyz")
    assert (ready.status, ready.json["database"], ready.json["redis"]) == (503, "unreachable", "ok")
    assert (await client.get("/healthz")).status == 200
    for token in (cookies_before["access_token"], token_expiring_in(client, settings, 60)):
        answer = await client.get("/api/video/", Cookie=cookie_header({**cookies_before, "access_token": token}))
        assert (answer.status, len(answer.json)) == (200, 1)
    refresh_only = cookie_header({"refresh_token": cookies_before["refresh_token"]})
    assert (await client.get("/api/video/", Cookie=refresh_only)).status == 503  # not 401: an outage logs nobody out
    assert time.monotonic() - start < TIMEOUT_S


async def assert_recovered(client: HttpClient, fresh_client: HttpClient) -> None:
    async def is_ready() -> bool:
        return (await client.get("/readyz")).status == (await fresh_client.get("/readyz")).status == 200

    await wait_until(is_ready, TIMEOUT_S)
    assert (await client.post("/api/token/refresh/")).status == 200
    assert (await client.get("/api/me/")).json["email"] == ADDRESS
    await client.log_in(ADDRESS, PASSWORD)

    async def is_listed() -> bool:
        answer = await fresh_client.get("/api/video/")
        return answer.status == 200 and len(answer.json) == 1

    await wait_until(is_listed, TIMEOUT_S)


def cookie_header(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
