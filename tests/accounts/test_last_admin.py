"""One admin always stays, even if admins remove each other's rights concurrently."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pymongo
import pytest

from videoflix.bootstrap.services import open_services
from videoflix.errors import Conflict, ServiceError
from videoflix.models import now
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores import users
from videoflix.stores.users import UserStore

PASSWORD = "correct horse battery"
RemoveRights = Callable[[Services, int, int], Awaitable[object]]

METHODS: dict[str, RemoveRights] = {
    "demote": lambda services, by, user: services.user_admin.update(by, user, is_admin=False),
    "disable": lambda services, by, user: services.user_admin.update(by, user, is_disabled=True),
    "deactivate": lambda services, by, user: services.user_admin.update(by, user, is_active=False),
    "delete": lambda services, by, user: services.user_admin.delete(by, user),
    "leave": lambda services, by, user: services.accounts.delete_own_account(user, PASSWORD),
}


async def reset_admins(services: Services, count: int) -> list[int]:
    """Replace all users by `count` admins; return their ids."""
    for user in (await services.user_admin.list_page("", 0, 100))[0]:
        await services.accounts.delete(user.id)
    return [(await services.accounts.make_admin(f"admin{n}@example.org", PASSWORD)).id for n in range(count)]


async def count_admins(services: Services) -> int:
    all_users, _ = await services.user_admin.list_page("", 0, 100)
    return sum(user.is_admin and user.can_sign_in for user in all_users)


@pytest.mark.parametrize("method", METHODS)
async def test_admins_who_demote_each_other_concurrently_leave_one(settings: Settings, method: str) -> None:
    """Two processes and some rounds, since a different one may be first each time."""
    async with open_services(settings) as one, open_services(settings) as other:
        for count in (2, 2, 3, 2, 3):
            ids = await reset_admins(one, count)
            calls = [
                METHODS[method]((one, other)[at % 2], user_id, ids[(at + 1) % count]) for at, user_id in enumerate(ids)
            ]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(result, ServiceError) for result in results if isinstance(result, BaseException))
            assert await count_admins(one) >= 1, results


async def test_a_concurrent_promotion_and_demotion_leave_an_admin(settings: Settings) -> None:
    async with open_services(settings) as services:
        for _ in range(5):
            first, second = await reset_admins(services, 2)
            await services.user_admin.update(first, second, is_admin=False)
            await asyncio.gather(
                services.user_admin.update(first, second, is_admin=True),
                services.user_admin.update(0, first, is_admin=False),
                services.user_admin.update(0, second, is_disabled=True),
                return_exceptions=True,
            )
            assert await count_admins(services) >= 1


async def test_the_last_admin_stays_and_one_of_two_can_go(settings: Settings) -> None:
    async with open_services(settings) as services:
        first, second = await reset_admins(services, 2)
        await services.user_admin.update(first, second, is_admin=False)
        for call in (
            services.user_admin.update(second, first, is_admin=False),
            services.user_admin.delete(second, first),
        ):
            with pytest.raises(Conflict):
                await call
        assert (await services.user_admin.get(first)).is_admin
        await services.user_admin.update(first, second, is_admin=True)
        await services.user_admin.delete(second, first)
        assert await count_admins(services) == 1


async def test_a_crash_while_demoting_blocks_later_demotions_only_briefly(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_services(settings) as services:
        first, second = await reset_admins(services, 2)
        with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
            mark = {"stepping_down": {"token": "of a process that died", "since": now()}}
            client[settings.mongodb_db]["users"].update_one({"_id": first}, {"$set": mark})
        with pytest.raises(Conflict):
            await services.user_admin.update(first, second, is_admin=False)
        monkeypatch.setattr(users, "_STEP_DOWN_TIMEOUT", timedelta(0))
        await services.user_admin.update(first, second, is_admin=False)
        assert await count_admins(services) == 1


async def test_a_process_suspended_while_demoting_changes_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mark has expired meanwhile, and another admin was demoted instead."""
    step_down = UserStore.step_down
    async with open_services(settings) as services:
        first, second = await reset_admins(services, 2)

        async def resume_late(self: UserStore, *args: Any) -> Any:
            monkeypatch.setattr(UserStore, "step_down", step_down)
            monkeypatch.setattr(users, "_STEP_DOWN_TIMEOUT", timedelta(0))
            await services.user_admin.update(second, first, is_admin=False)
            monkeypatch.setattr(users, "_STEP_DOWN_TIMEOUT", timedelta(60))
            return await step_down(self, *args)

        monkeypatch.setattr(UserStore, "step_down", resume_late)
        with pytest.raises(Conflict):
            await services.user_admin.update(first, second, is_admin=False)
        assert (await services.user_admin.get(second)).is_admin
