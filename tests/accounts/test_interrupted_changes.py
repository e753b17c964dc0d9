"""Changes that a database outage interrupts halfway: repeating the call completes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymongo.errors import AutoReconnect

from tests.support.users import deliver_mails, link_parameters
from videoflix.bootstrap.services import open_application, open_services
from videoflix.errors import BadRequest
from videoflix.settings import Settings
from videoflix.stores.outbox import OutboxStore
from videoflix.stores.sessions import SessionStore
from videoflix.stores.users import UserStore

ADDRESS, PASSWORD, NEW = "viewer@example.org", "correct horse battery", "another horse battery"
FailOnce = Callable[[type, str], None]


@pytest.fixture
def fail_once(monkeypatch: pytest.MonkeyPatch) -> FailOnce:
    """Return a function that makes the next call of a store's method fail."""

    def patch(store: type, name: str) -> None:
        method = getattr(store, name)

        async def fails(*_: object, **__: object) -> None:
            monkeypatch.setattr(store, name, method)
            raise AutoReconnect("away")

        monkeypatch.setattr(store, name, fails)

    return patch


async def test_an_interrupted_password_reset_is_finished_by_repeating_it(
    settings: Settings, fail_once: FailOnce
) -> None:
    async with open_services(settings) as services:
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        password = PASSWORD
        for number, step in enumerate(((UserStore, "set_password"), (SessionStore, "end"))):
            before = (await services.accounts.log_in(ADDRESS, password)).tokens.access_token
            await services.accounts.request_password_reset(ADDRESS)
            token = link_parameters((await deliver_mails(services))[-1])[1]
            password = f"{NEW} {number}"
            fail_once(*step)
            with pytest.raises(AutoReconnect):
                await services.accounts.reset_password(token, None, password)
            with pytest.raises(BadRequest):  # the link sets no password but that one
                await services.accounts.reset_password(token, None, PASSWORD)
            await services.accounts.reset_password(token, None, password)
            assert not services.token_verifier.is_access_token_valid(before)
            assert await services.accounts.can_log_in(ADDRESS, password)
            with pytest.raises(BadRequest):
                await services.accounts.reset_password(token, None, password)


async def test_repeating_an_interrupted_registration_sends_the_mail(settings: Settings, fail_once: FailOnce) -> None:
    async with open_services(settings) as services:
        fail_once(OutboxStore, "put")
        with pytest.raises(AutoReconnect):
            await services.accounts.register(ADDRESS, PASSWORD)
        assert await deliver_mails(services) == []
        with pytest.raises(BadRequest):
            await services.accounts.register(ADDRESS, PASSWORD)
        (mail,) = await deliver_mails(services)
        await services.accounts.activate(link_parameters(mail)[1], None)
        with pytest.raises(BadRequest):
            await services.accounts.register(ADDRESS, PASSWORD)
        assert await deliver_mails(services) == []


async def test_repeating_an_interrupted_demotion_ends_the_sessions(settings: Settings, fail_once: FailOnce) -> None:
    async with open_services(settings) as services:
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        await services.accounts.make_admin("other@example.org", PASSWORD)
        token = (await services.accounts.log_in(ADDRESS, PASSWORD)).tokens.access_token
        fail_once(SessionStore, "end")
        with pytest.raises(AutoReconnect):
            await services.user_admin.update(0, 1, is_admin=False)
        await services.user_admin.update(0, 1, is_admin=False)
        assert not services.token_verifier.is_access_token_valid(token)


async def test_an_interrupted_account_deletion_is_finished_later(settings: Settings, fail_once: FailOnce) -> None:
    async with open_application(settings) as (services, jobs):
        await services.accounts.make_admin(ADDRESS, PASSWORD)
        await jobs.account_purge.run_once()
        assert await services.accounts.can_log_in(ADDRESS, PASSWORD)
        fail_once(OutboxStore, "delete_for_address")
        with pytest.raises(AutoReconnect):
            await services.accounts.delete(1)
        assert not await services.accounts.can_log_in(ADDRESS, PASSWORD)
        await jobs.account_purge.run_once()
        assert await services.user_admin.list_page("", 0, 9) == ([], 0)
        assert (await services.accounts.register(ADDRESS, PASSWORD)).id == 2
