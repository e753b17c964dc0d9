"""Deletions of accounts to their end: what a process that died, or a database that went away, left half done.

Whoever deletes an account is signed out first and cannot ask again.
"""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager, suppress

from videoflix.accounts.service import Accounts
from videoflix.background import repeated
from videoflix.errors import NotFound
from videoflix.stores.users import UserStore

_log = logging.getLogger(__name__)

_PAUSE = 60.0  # seconds between two looks


class Departures:
    """Any number of processes may look; every step is safe to repeat."""

    def __init__(self, users: UserStore, accounts: Accounts) -> None:
        self._users = users
        self._accounts = accounts

    def finished(self) -> AbstractAsyncContextManager[None]:
        """At once and from time to time, for as long as the block lasts."""
        return repeated(self.finish, _PAUSE, _log)

    async def finish(self) -> None:
        """Once, for all accounts that are to be deleted."""
        for user_id in await self._users.leaving():
            with suppress(NotFound):  # who began it has ended it
                await self._accounts.delete(user_id)
