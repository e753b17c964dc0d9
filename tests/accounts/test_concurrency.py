"""What happens between two steps of somebody else, and what is held of a user who goes."""

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


def documents(settings: Settings) -> dict[str, int]:
    """How many there are in each collection."""
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        database = client[settings.mongodb_db]
        return {name: database[name].count_documents({}) for name in database.list_collection_names()}


def only_its_end_is_known(settings: Settings) -> None:
    """The one session that there was: nothing in its document tells whose it was."""
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        tombstone = client[settings.mongodb_db]["sessions"].find_one()
    assert tombstone is not None
    assert not {"user_id", "device", "address", "current", "previous"} & set(tombstone)


@asynccontextmanager
async def site_of_one(settings: Settings) -> AsyncIterator[Services]:
    """With the user 1."""
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
    async with site_of_one(settings) as services:
        await services.accounts.make_admin("other@example.org", PASSWORD)
        verify = Passwords.verify

        async def disabled_meanwhile(self: Passwords, encoded: str | None, password: str) -> bool:
            matches = await verify(self, encoded, password)
            await services.user_admin.update(0, 1, is_disabled=True)
            return matches

        monkeypatch.setattr(Passwords, "verify", disabled_meanwhile)
        with pytest.raises(BadRequest):
            await services.accounts.log_in(ADDRESS, PASSWORD)
        assert list(await services.accounts.list_sessions(1)) == []


async def test_a_login_racing_a_deletion_opens_and_leaves_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site_of_one(settings) as services:
        add = SessionStore.add

        async def deleted_meanwhile(self: SessionStore, session: Session) -> None:
            await services.accounts.delete(1)
            await add(self, session)

        monkeypatch.setattr(SessionStore, "add", deleted_meanwhile)
        with pytest.raises(BadRequest):
            await services.accounts.log_in(ADDRESS, PASSWORD, Client("192.0.2.1", "a browser"))
    only_its_end_is_known(settings)


async def test_a_deleted_user_leaves_nothing_but_tombstones_of_sessions(settings: Settings) -> None:
    async with site_of_one(settings) as services:
        await services.accounts.log_in(ADDRESS, PASSWORD)
        await services.accounts.request_password_reset(ADDRESS)
        await run_mailer(services)
        await services.accounts.request_password_reset(ADDRESS)
        await services.accounts.delete(1)
    left = documents(settings)
    assert {name: number for name, number in left.items() if number} == {"counters": 1, "sessions": 1}
    only_its_end_is_known(settings)
