"""Accounts whose address nobody confirms are deleted after some days, so that whoever it belongs to can register."""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from videoflix.accounts.events import Event, log
from videoflix.accounts.links import Links
from videoflix.background import repeated
from videoflix.mail.outbox import Outbox
from videoflix.models import now
from videoflix.stores.users import UserStore

_log = logging.getLogger(__name__)

_PAUSE = 1800.0  # seconds between two sweeps


class Unconfirmed:
    """`days` after the last mail that asked for it; 0 keeps them. Any number of processes may sweep.

    Only what its registration made: an account that an admin has decided about stays.
    """

    def __init__(self, users: UserStore, links: Links, outbox: Outbox, days: int) -> None:
        self._users = users
        self._links = links
        self._outbox = outbox
        self._days = days

    def swept(self) -> AbstractAsyncContextManager[None]:
        """At once and from time to time, for as long as the block lasts."""
        return repeated(self.sweep, _PAUSE, _log)

    async def sweep(self) -> None:
        """Once. Who confirms at this very moment keeps the account."""
        if not self._days:
            return
        since = now() - timedelta(days=self._days)
        for user in await self._users.unconfirmed(since):
            # Before, for afterwards the address may be somebody else's; who confirms needs it no more.
            await self._outbox.forget(user.email)
            if await self._users.delete_unconfirmed(user.id, since):
                await self._links.remove(user.id)
                log(Event.USER_DELETED, user=user.id, unconfirmed_days=self._days)
