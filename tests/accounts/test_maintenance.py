"""Deletion of accounts whose address was not confirmed, and the repetition of periodic steps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import pymongo
import pytest
from structlog.testing import capture_logs

from tests.support.log_events import find_events
from tests.support.users import run_mailer
from videoflix.background import run_periodically
from videoflix.bootstrap.services import open_application
from videoflix.models import User, now
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.users import UserStore

PASSWORD = "correct horse battery"


def age_requests(settings: Settings, days: float) -> None:
    """Date the last request to confirm an address back by some days, for all unconfirmed accounts."""
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        fields = {"asked_to_confirm_at": now() - timedelta(days=days)}
        client[settings.mongodb_db]["users"].update_many({"asked_to_confirm_at": {"$ne": None}}, {"$set": fields})


async def register_all(services: Services, *names: str) -> None:
    for name in names:
        await services.accounts.register(f"{name}@example.org", PASSWORD)


async def list_names(services: Services) -> Collection[str]:
    users, _ = await services.user_admin.list_page("", 0, 100)
    return {user.email.partition("@")[0] for user in users}


async def test_only_unconfirmed_accounts_are_deleted_after_some_days(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with open_application(settings) as (services, jobs):
        await services.accounts.make_admin("admin@example.org", PASSWORD)
        await register_all(services, "never", "active", "disabled", "enabled", "deactivated")
        for user_id, rights in (
            (3, {"is_active": True}),
            (4, {"is_disabled": True}),
            (5, {"is_disabled": True}),
            (6, {"is_active": True}),
        ):
            await services.user_admin.update(1, user_id, **rights)
        await services.user_admin.update(1, 5, is_disabled=False)
        await services.user_admin.update(1, 6, is_active=False)
        for address in ("active", "disabled", "enabled", "deactivated"):
            await services.outbox.delete_for_address(f"{address}@example.org")
        age_requests(settings, 6.9)
        await jobs.unconfirmed_accounts.run_once()
        assert "never" in await list_names(services)
        age_requests(settings, 7.1)
        await jobs.unconfirmed_accounts.run_once()
        assert await list_names(services) == {"admin", "active", "disabled", "enabled", "deactivated"}
        assert await services.outbox.list_all() == []  # also the mail to the deleted account
        assert find_events(caplog.records, "user_deleted", user_id=2, unconfirmed_days=7)
        await register_all(services, "never")  # the address is available again


async def test_a_resent_mail_extends_the_deadline_and_0_days_disables_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_application(settings) as (services, jobs):
        await register_all(services, "late", "never")
        await run_mailer(services)
        age_requests(settings, 8)
        await services.accounts.resend_activation("late@example.org")
        await run_mailer(services)
        with monkeypatch.context() as patch:
            patch.setattr(jobs.unconfirmed_accounts, "_max_age_days", 0)
            await jobs.unconfirmed_accounts.run_once()
        assert await list_names(services) == {"late", "never"}
        await jobs.unconfirmed_accounts.run_once()
        assert await list_names(services) == {"late"}


async def test_an_account_confirmed_while_being_purged_is_kept(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_unconfirmed = UserStore.list_unconfirmed

    async def list_then_activate(self: UserStore, since: datetime) -> list[User]:
        users = await list_unconfirmed(self, since)
        await self.activate(1)
        return users

    monkeypatch.setattr(UserStore, "list_unconfirmed", list_then_activate)
    async with open_application(settings) as (services, jobs):
        await register_all(services, "viewer")
        age_requests(settings, 8)
        await jobs.unconfirmed_accounts.run_once()
        await services.accounts.log_in("viewer@example.org", PASSWORD)


async def test_a_periodic_step_that_fails_is_repeated() -> None:
    done = asyncio.Event()

    async def sweep() -> None:
        if logs:
            done.set()
        raise ConnectionError("the database is away")

    with capture_logs() as logs:
        async with run_periodically(sweep, 0.01), asyncio.timeout(10):
            await done.wait()
    assert (logs[0]["event"], logs[0]["error"]) == ("background_step_failed", "the database is away")
    assert logs[0]["step"].endswith("sweep")
