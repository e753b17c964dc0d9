"""A session that one web process ends is rejected by all others, also while Redis is down."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.support.processes import server_process
from tests.support.waiting import wait_until
from videoflix.accounts.service import LoginResult
from videoflix.auth import revocations
from videoflix.bootstrap.services import open_services
from videoflix.embedded import processes, servers
from videoflix.errors import TokenNotValid
from videoflix.models import Tombstone, now
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.sessions import SessionStore

ADDRESS, PASSWORD = "viewer@example.org", "correct horse battery"


def is_accepted(services: Services, login: LoginResult) -> bool:
    try:
        services.token_verifier.verify_access_token(login.tokens.access_token)
    except TokenNotValid:
        return False
    return True


async def log_in_at(services: Services) -> LoginResult:
    await services.accounts.make_admin(ADDRESS, PASSWORD)
    return await services.accounts.log_in(ADDRESS, PASSWORD)


@asynccontextmanager
async def two_processes(settings: Settings) -> AsyncIterator[tuple[Services, Services]]:
    """Open the services of two web processes of one site, and wait until both are in sync."""
    async with open_services(settings) as one, open_services(settings) as other:
        await wait_until(lambda: one.token_verifier.is_in_sync and other.token_verifier.is_in_sync)
        yield one, other


async def test_a_session_ended_in_one_process_is_rejected_in_the_other(settings: Settings) -> None:
    async with two_processes(settings) as (one, other):
        login = await log_in_at(one)
        assert is_accepted(other, login)
        started_at = time.monotonic()
        await one.accounts.end_sessions(login.user.id)
        assert not is_accepted(one, login)
        await wait_until(lambda: not is_accepted(other, login))
        assert time.monotonic() - started_at < 2  # 0.1 s on an idle machine


async def test_without_redis_a_revocation_spreads_through_the_database(settings: Settings, redis_home: Path) -> None:
    """Only the process that ends the session has lost Redis: here it has another server."""
    with processes.run_server(servers.make_redis_server(redis_home)) as own_server:
        isolated = settings.model_copy(update={"redis_url": SecretStr(own_server.url)})
        async with open_services(isolated) as one, open_services(settings) as other:
            await wait_until(lambda: other.token_verifier.is_in_sync)
            login = await log_in_at(one)
            assert is_accepted(other, login)
            await one.accounts.end_sessions(login.user.id)
            await wait_until(lambda: not is_accepted(other, login), 5)  # about a second on an idle machine
            assert other.token_verifier.is_in_sync


async def test_ended_sessions_are_read_once_and_not_every_second(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    queried_since: list[datetime] = []
    list_ended_since = SessionStore.list_ended_since

    async def list_recorded(self: SessionStore, since: datetime) -> list[Tombstone]:
        queried_since.append(since)
        return await list_ended_since(self, since)

    monkeypatch.setattr(SessionStore, "list_ended_since", list_recorded)
    monkeypatch.setattr(revocations, "_RECONCILE_INTERVAL_S", 0.02)
    overlap = timedelta(seconds=0.5)
    monkeypatch.setattr(revocations, "_RECONCILE_OVERLAP", overlap)
    async with open_services(settings) as one:
        login = await log_in_at(one)
        await one.accounts.end_sessions(login.user.id)
        await wait_until(lambda: queried_since[-1] - overlap in queried_since)  # once with the overlap, once without
        assert set(queried_since) == {revocations._EARLIEST, queried_since[-1] - overlap, queried_since[-1]}
        assert now() - queried_since[-1] < timedelta(minutes=1)


async def test_a_suspended_process_does_not_take_redis_for_lost(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as logs:
        async with open_services(settings) as one:
            await wait_until(lambda: one.token_verifier.is_in_sync)
            monkeypatch.setattr(one.token_verifier._revocations, "_list_ended", None)  # a query would fail
            time.sleep(revocations._SYNC_TIMEOUT_S + 0.1)
            assert not one.token_verifier.is_in_sync
            await one.token_verifier.ensure_current()
            assert one.token_verifier.is_in_sync
    assert not any(entry["event"] == "subscription_lost" for entry in logs)


async def test_a_process_that_starts_later_knows_earlier_revocations(settings: Settings) -> None:
    async with open_services(settings) as one:
        login = await log_in_at(one)
        await one.accounts.end_sessions(login.user.id)
    async with open_services(settings) as later:
        assert not is_accepted(later, login)


async def test_sessions_are_never_ended_without_a_condition(settings: Settings) -> None:
    async with open_services(settings) as one:
        login = await log_in_at(one)
        with pytest.raises(ValueError, match="sessions to end"):
            await one.accounts._sessions.end()
        assert is_accepted(one, login)


@pytest.fixture
def redis_home(tmp_path: Path) -> Path:
    home = tmp_path / "own_redis"
    home.mkdir()
    return home


async def test_revoked_sessions_are_rejected_while_redis_is_down_or_hangs(settings: Settings, redis_home: Path) -> None:
    server = servers.make_redis_server(redis_home)
    settings = settings.model_copy(update={"redis_url": SecretStr(server.url)})
    with processes.run_server(server):
        opened = two_processes(settings)
        one, other = await opened.__aenter__()
        server_process(server).suspend()  # connections stay open: it hangs, or a firewall drops packets
        await assert_revocation_is_known_when_current(one, other)
        server_process(server).resume()
        await wait_until(lambda: one.token_verifier.is_in_sync and other.token_verifier.is_in_sync)
    try:
        await assert_revocation_is_known_when_current(one, other)
        with processes.run_server(server):
            await wait_until(lambda: one.token_verifier.is_in_sync and other.token_verifier.is_in_sync)
    finally:
        await opened.__aexit__(None, None, None)


async def assert_revocation_is_known_when_current(one: Services, other: Services) -> None:
    login = await log_in_at(one)
    await wait_until(lambda: not other.token_verifier.is_in_sync, 5)  # about a second
    await one.accounts.end_sessions(login.user.id)
    assert not is_accepted(one, login)
    await other.token_verifier.ensure_current()
    assert not is_accepted(other, login)


async def test_pending_revocations_are_published_when_redis_is_back(
    settings: Settings, redis_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def list_nothing(*_: object) -> list[Tombstone]:
        return []

    monkeypatch.setattr(SessionStore, "list_ended_since", list_nothing)
    server = servers.make_redis_server(redis_home)
    settings = settings.model_copy(update={"redis_url": SecretStr(server.url)})
    with processes.run_server(server):
        opened = two_processes(settings)
        one, other = await opened.__aenter__()
        login = await log_in_at(one)
    try:
        await one.accounts.end_sessions(login.user.id)
        with processes.run_server(server):
            await wait_until(lambda: not is_accepted(other, login))
    finally:
        await opened.__aexit__(None, None, None)
