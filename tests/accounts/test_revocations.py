"""A session that ended in one web process is shut out in all others, whatever becomes of Redis."""

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


def lets_in(services: Services, signed_in: LoginResult) -> bool:
    try:
        services.token_verifier.verify_access_token(signed_in.tokens.access_token)
    except TokenNotValid:
        return False
    return True


async def signed_in_at(services: Services) -> LoginResult:
    await services.accounts.make_admin(ADDRESS, PASSWORD)
    return await services.accounts.log_in(ADDRESS, PASSWORD)


@asynccontextmanager
async def two_processes(settings: Settings) -> AsyncIterator[tuple[Services, Services]]:
    """The services of two web processes of one site, both in step."""
    async with open_services(settings) as one, open_services(settings) as other:
        await wait_until(lambda: one.token_verifier.is_in_sync and other.token_verifier.is_in_sync)
        yield one, other


async def test_a_session_ended_in_one_process_is_rejected_in_the_other(settings: Settings) -> None:
    async with two_processes(settings) as (one, other):
        signed_in = await signed_in_at(one)
        assert lets_in(other, signed_in)
        begin = time.monotonic()
        await one.accounts.end_sessions(signed_in.user.id)
        assert not lets_in(one, signed_in)
        await wait_until(lambda: not lets_in(other, signed_in))
        assert time.monotonic() - begin < 2  # 0.1 on a machine that is not busy


async def test_without_redis_a_revocation_spreads_through_the_database(settings: Settings, redis_home: Path) -> None:
    """Only the process that signs out has lost Redis: here it has another one."""
    with processes.run_server(servers.make_redis_server(redis_home)) as its_own:
        alone = settings.model_copy(update={"redis_url": SecretStr(its_own.url)})
        async with open_services(alone) as one, open_services(settings) as other:
            await wait_until(lambda: other.token_verifier.is_in_sync)
            signed_in = await signed_in_at(one)
            assert lets_in(other, signed_in)
            await one.accounts.end_sessions(signed_in.user.id)
            await wait_until(lambda: not lets_in(other, signed_in), 5)  # about a second, when the machine is not busy
            assert other.token_verifier.is_in_sync


async def test_ended_sessions_are_read_once_and_not_every_second(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime] = []
    ended = SessionStore.list_ended_since

    async def watched(self: SessionStore, since: datetime) -> list[Tombstone]:
        asked.append(since)
        return await ended(self, since)

    monkeypatch.setattr(SessionStore, "list_ended_since", watched)
    monkeypatch.setattr(revocations, "_RECONCILE_INTERVAL_S", 0.02)
    overlap = timedelta(seconds=0.5)
    monkeypatch.setattr(revocations, "_RECONCILE_OVERLAP", overlap)
    async with open_services(settings) as one:
        signed_in = await signed_in_at(one)
        await one.accounts.end_sessions(signed_in.user.id)
        await wait_until(
            lambda: asked[-1] - overlap in asked
        )  # for a while what may have become visible late, then no more
        assert set(asked) == {revocations._EARLIEST, asked[-1] - overlap, asked[-1]}
        assert now() - asked[-1] < timedelta(minutes=1)


async def test_a_suspended_process_does_not_take_redis_for_lost(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as logs:
        async with open_services(settings) as one:
            await wait_until(lambda: one.token_verifier.is_in_sync)
            monkeypatch.setattr(one.token_verifier._revocations, "_list_ended", None)  # asking the database fails
            time.sleep(revocations._SYNC_TIMEOUT_S + 0.1)
            assert not one.token_verifier.is_in_sync
            await one.token_verifier.ensure_current()
            assert one.token_verifier.is_in_sync
    assert not any(entry["event"] == "subscription_lost" for entry in logs)


async def test_a_process_that_starts_later_knows_earlier_revocations(settings: Settings) -> None:
    async with open_services(settings) as one:
        signed_in = await signed_in_at(one)
        await one.accounts.end_sessions(signed_in.user.id)
    async with open_services(settings) as later:
        assert not lets_in(later, signed_in)


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
        server_process(server).suspend()  # no connection is closed: it hangs, or a firewall forgot about it
        await an_end_is_heard_of_when_asked(one, other)
        server_process(server).resume()
        await wait_until(lambda: one.token_verifier.is_in_sync and other.token_verifier.is_in_sync)
    try:
        await an_end_is_heard_of_when_asked(one, other)
        with processes.run_server(server):
            await wait_until(lambda: one.token_verifier.is_in_sync and other.token_verifier.is_in_sync)
    finally:
        await opened.__aexit__(None, None, None)


async def an_end_is_heard_of_when_asked(one: Services, other: Services) -> None:
    signed_in = await signed_in_at(one)
    await wait_until(lambda: not other.token_verifier.is_in_sync, 5)  # a second
    await one.accounts.end_sessions(signed_in.user.id)
    assert not lets_in(one, signed_in)
    await other.token_verifier.ensure_current()
    assert not lets_in(other, signed_in)


async def test_pending_revocations_are_published_when_redis_is_back(
    settings: Settings, redis_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> list[Tombstone]:
        return []

    monkeypatch.setattr(SessionStore, "list_ended_since", nothing)
    server = servers.make_redis_server(redis_home)
    settings = settings.model_copy(update={"redis_url": SecretStr(server.url)})
    with processes.run_server(server):
        opened = two_processes(settings)
        one, other = await opened.__aenter__()
        signed_in = await signed_in_at(one)
    try:
        await one.accounts.end_sessions(signed_in.user.id)
        with processes.run_server(server):
            await wait_until(lambda: not lets_in(other, signed_in))
    finally:
        await opened.__aexit__(None, None, None)
