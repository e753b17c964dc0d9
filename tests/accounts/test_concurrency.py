"""Account changes that race each other, and what remains of a deleted user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pymongo
import pytest

from tests.support.users import run_mailer
from videoflix.accounts.passwords import Passwords
from videoflix.bootstrap.services import open_services
from videoflix.errors import BadRequest
from videoflix.models import Client, Session
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.sessions import SessionStore

ADDRESS, PASSWORD = "viewer@example.org", "correct horse battery"


def count_documents(settings: Settings) -> dict[str, int]:
    """Return the number of documents in each collection."""
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        database = client[settings.mongodb_db]
        return {name: database[name].count_documents({}) for name in database.list_collection_names()}


def assert_anonymous_tombstone(settings: Settings) -> None:
    """Assert that the document of the only session does not tell whose it was."""
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        tombstone = client[settings.mongodb_db]["sessions"].find_one()
    assert tombstone is not None
    assert not {"user_id", "device", "address", "current", "previous"} & set(tombstone)


@asynccontextmanager
async def site_with_user(settings: Settings) -> AsyncIterator[Services]:
    """Open a site with one user, whose id is 1."""
    async with open_services(settings) as services:
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        yield services


async def test_of_concurrent_registrations_of_one_address_one_succeeds(settings: Settings) -> None:
    async with open_services(settings) as services:
        results = await asyncio.gather(
            *(services.accounts.register(ADDRESS, PASSWORD) for _ in range(5)), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in results) == ["BadRequest"] * 4 + ["User"], results
        assert (await services.user_admin.list_page("", 0, 10))[1] == 1


async def test_a_login_racing_a_disabling_opens_no_session(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site_with_user(settings) as services:
        await services.accounts.make_admin("other@example.org", PASSWORD)
        verify = Passwords.verify

        async def verify_then_disable(self: Passwords, encoded: str | None, password: str) -> bool:
            matches = await verify(self, encoded, password)
            await services.user_admin.update(0, 1, is_disabled=True)
            return matches

        monkeypatch.setattr(Passwords, "verify", verify_then_disable)
        with pytest.raises(BadRequest):
            await services.accounts.log_in(ADDRESS, PASSWORD)
        assert list(await services.accounts.list_sessions(1)) == []


async def test_a_login_racing_a_deletion_opens_and_leaves_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site_with_user(settings) as services:
        add = SessionStore.add

        async def delete_then_add(self: SessionStore, session: Session) -> None:
            await services.accounts.delete(1)
            await add(self, session)

        monkeypatch.setattr(SessionStore, "add", delete_then_add)
        with pytest.raises(BadRequest):
            await services.accounts.log_in(ADDRESS, PASSWORD, Client("192.0.2.1", "a browser"))
    assert_anonymous_tombstone(settings)


async def test_a_deleted_user_leaves_nothing_but_tombstones_of_sessions(settings: Settings) -> None:
    async with site_with_user(settings) as services:
        await services.accounts.log_in(ADDRESS, PASSWORD)
        await services.accounts.request_password_reset(ADDRESS)
        await run_mailer(services)
        await services.accounts.request_password_reset(ADDRESS)
        await services.accounts.delete(1)
    counts = count_documents(settings)
    assert {name: number for name, number in counts.items() if number} == {"counters": 1, "sessions": 1}
    assert_anonymous_tombstone(settings)
