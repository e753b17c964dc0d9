"""Deletions of accounts to their end: what a process that died, or a database that went away, left half done.

Whoever deletes an account is signed out first and cannot ask again.
"""

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

_PURGE_INTERVAL_S = 60.0  # seconds between two looks


class AccountPurge:
    """Any number of processes may look; every step is safe to repeat."""

    def __init__(self, users: UserStore, accounts: Accounts) -> None:
        self._users = users
        self._accounts = accounts

    def run_in_background(self) -> AbstractAsyncContextManager[None]:
        """At once and from time to time, for as long as the block lasts."""
        return run_periodically(self.run_once, _PURGE_INTERVAL_S)

    async def run_once(self) -> None:
        """Once, for all accounts that are to be deleted."""
        for user_id in await self._users.list_being_deleted():
            with suppress(NotFound):  # who began it has ended it
                await self._accounts.delete(user_id)


_UNCONFIRMED_INTERVAL_S = 1800.0  # seconds between two sweeps


class UnconfirmedAccounts:
    """`days` after the last mail that asked for it; 0 keeps them. Any number of processes may sweep.

    Only what its registration made: an account that an admin has decided about stays.
    """

    def __init__(self, users: UserStore, one_time_tokens: OneTimeTokens, outbox: Outbox, max_age_days: int) -> None:
        self._users = users
        self._one_time_tokens = one_time_tokens
        self._outbox = outbox
        self._max_age_days = max_age_days

    def run_in_background(self) -> AbstractAsyncContextManager[None]:
        """At once and from time to time, for as long as the block lasts."""
        return run_periodically(self.run_once, _UNCONFIRMED_INTERVAL_S)

    async def run_once(self) -> None:
        """Once. Who confirms at this very moment keeps the account."""
        if not self._max_age_days:
            return
        since = now() - timedelta(days=self._max_age_days)
        for user in await self._users.list_unconfirmed(since):
            # Before, for afterwards the address may be somebody else's; who confirms needs it no more.
            await self._outbox.delete_for_address(user.email)
            if await self._users.delete_unconfirmed(user.id, since):
                await self._one_time_tokens.revoke(user.id)
                log_event(SecurityEvent.USER_DELETED, user=user.id, unconfirmed_days=self._max_age_days)
