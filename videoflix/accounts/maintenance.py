"""Maintenance of accounts in the background; any number of processes may run it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta

from videoflix.accounts.service import Accounts
from videoflix.auth.one_time_tokens import OneTimeTokens
from videoflix.auth.security_log import SecurityEvent, log_event
from videoflix.background import run_periodically
from videoflix.errors import NotFound
from videoflix.mail.outbox import Outbox
from videoflix.models import now
from videoflix.stores.users import UserStore

_PURGE_INTERVAL_S = 60.0
_UNCONFIRMED_INTERVAL_S = 1800.0


class AccountPurge:
    """Finishes account deletions that a crash or an outage interrupted.

    The users cannot do that themselves: a deletion begins with the end of their sessions.
    """

    def __init__(self, users: UserStore, accounts: Accounts) -> None:
        self._users = users
        self._accounts = accounts

    def run_in_background(self) -> AbstractAsyncContextManager[None]:
        """Run at once and then periodically until the block is left."""
        return run_periodically(self.run_once, _PURGE_INTERVAL_S)

    async def run_once(self) -> None:
        """Delete all accounts whose deletion has begun. Idempotent."""
        for user_id in await self._users.list_being_deleted():
            with suppress(NotFound):  # its own deletion has finished meanwhile
                await self._accounts.delete(user_id)


class UnconfirmedAccounts:
    """Deletes accounts whose address was not confirmed within `max_age_days` of the last mail; 0 keeps them all.

    Accounts that an admin has changed stay.
    """

    def __init__(self, users: UserStore, one_time_tokens: OneTimeTokens, outbox: Outbox, max_age_days: int) -> None:
        self._users = users
        self._one_time_tokens = one_time_tokens
        self._outbox = outbox
        self._max_age_days = max_age_days

    def run_in_background(self) -> AbstractAsyncContextManager[None]:
        """Run at once and then periodically until the block is left."""
        return run_periodically(self.run_once, _UNCONFIRMED_INTERVAL_S)

    async def run_once(self) -> None:
        """Delete the accounts that are due. One whose address is confirmed concurrently stays."""
        if not self._max_age_days:
            return
        asked_before = now() - timedelta(days=self._max_age_days)
        for user in await self._users.list_unconfirmed(asked_before):
            # Before the account: afterwards the address may be another user's. Who confirms needs the mail no more.
            await self._outbox.delete_for_address(user.email)
            if await self._users.delete_unconfirmed(user.id, asked_before):
                await self._one_time_tokens.revoke(user.id)
                log_event(SecurityEvent.USER_DELETED, user_id=user.id, unconfirmed_days=self._max_age_days)
