"""A session that ended in one web process is shut out in all others, whatever becomes of Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from videoflix.accounts.service import SignedIn
from videoflix.composition.root import open_services
from videoflix.embedded import processes, servers
from videoflix.errors import TokenNotValid
from videoflix.services import Services
from videoflix.settings import Settings

ADDRESS, PASSWORD = "viewer@example.org", "correct horse battery"


async def until(is_so: Callable[[], object], seconds: float = 10) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


def lets_in(services: Services, signed_in: SignedIn) -> bool:
    try:
        services.accounts.identify(signed_in.access_token)
    except TokenNotValid:
        return False
    return True


async def signed_in_at(services: Services) -> SignedIn:
    await services.accounts.make_admin(ADDRESS, PASSWORD)
    return await services.accounts.log_in(ADDRESS, PASSWORD)


@asynccontextmanager
async def two_processes(settings: Settings) -> AsyncIterator[tuple[Services, Services]]:
    """The services of two web processes of one site, both in step."""
    async with open_services(settings) as one, open_services(settings) as other:
        await until(lambda: one.accounts.in_step and other.accounts.in_step)
        yield one, other


async def test_a_session_that_ends_in_one_process_is_shut_out_in_the_other(settings: Settings) -> None:
    async with two_processes(settings) as (one, other):
        signed_in = await signed_in_at(one)
        assert lets_in(other, signed_in)
        begin = time.monotonic()
        await one.accounts.end_sessions(signed_in.user.id)
        assert not lets_in(one, signed_in)
        await until(lambda: not lets_in(other, signed_in))
        assert time.monotonic() - begin < 2  # 0.1 on a machine that is not busy; the other way to learn takes 10


async def test_a_process_that_starts_later_knows_what_ended_before(settings: Settings) -> None:
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


async def test_nobody_gets_in_while_redis_is_away_and_the_others_learn_when_it_is_back(
    settings: Settings, redis_home: Path
) -> None:
    server = servers.redis(redis_home)
    settings = settings.model_copy(update={"redis_url": SecretStr(server.url)})
    with processes.running(server):
        opened = two_processes(settings)
        one, other = await opened.__aenter__()
        signed_in = await signed_in_at(one)
    try:
        await until(lambda: not other.accounts.in_step)
        await one.accounts.end_sessions(signed_in.user.id)
        assert not lets_in(one, signed_in)
        assert lets_in(other, signed_in)  # it cannot know: therefore every request awaits the next line
        await other.accounts.ensure_current()
        assert not lets_in(other, signed_in)
        with processes.running(server):
            await until(lambda: one.accounts.in_step and other.accounts.in_step)
    finally:
        await opened.__aexit__(None, None, None)


async def test_what_could_not_be_announced_is_announced_when_redis_is_back(
    settings: Settings, redis_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing() -> dict[str, float]:
        return {}

    monkeypatch.setattr("videoflix.stores.sessions.SessionStore.ended", lambda _: nothing())
    server = servers.redis(redis_home)
    settings = settings.model_copy(update={"redis_url": SecretStr(server.url)})
    with processes.running(server):
        opened = two_processes(settings)
        one, other = await opened.__aenter__()
        signed_in = await signed_in_at(one)
    try:
        await one.accounts.end_sessions(signed_in.user.id)
        with processes.running(server):
            await until(lambda: not lets_in(other, signed_in))
    finally:
        await opened.__aexit__(None, None, None)
