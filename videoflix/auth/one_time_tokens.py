"""Tokens that mails carry: random, for one purpose, usable once, kept as hashes."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from datetime import timedelta
from enum import StrEnum

from videoflix.auth.tokens import hash_secret
from videoflix.errors import NotFound
from videoflix.models import now
from videoflix.stores.one_time_tokens import OneTimeTokenStore, TokenOwner


class Purpose(StrEnum):
    """What a link does."""

    ACTIVATE = "activate"
    RESET = "reset"


# Who wants another mail sooner has one already. Without it a stranger could fill somebody's mailbox; with a limit of
# requests instead, the stranger could use up those of the owner.
_RESEND_AFTER = timedelta(minutes=10)
_LIFETIMES = {Purpose.ACTIVATE: timedelta(hours=24), Purpose.RESET: timedelta(hours=1)}


class OneTimeTokens:
    """Issue and redeem."""

    def __init__(self, store: OneTimeTokenStore) -> None:
        self._store = store

    async def issue(self, user_id: int, purpose: Purpose, mail_id: str) -> str:
        """A token of path-safe characters for a mail; older ones of the same purpose stay good."""
        token = secrets.token_urlsafe(32)
        await self._store.add(hash_secret(token), user_id, purpose.value, now() + _LIFETIMES[purpose], mail_id)
        return token

    async def set_sent(self, mail_id: str) -> None:
        """Note that this mail has gone out. Safe to repeat."""
        await self._store.set_sent(mail_id, now())

    async def is_outstanding(self, user_id: int, purpose: Purpose) -> bool:
        """Return whether the user got a link of this kind a moment ago, which is still good."""
        return await self._store.was_sent(user_id, purpose.value, now() - _RESEND_AFTER)

    async def get_owner(self, token: str, purpose: Purpose, uid: str | None = None) -> TokenOwner:
        """Whose it is. Raises NotFound: unknown, expired, or of somebody else."""
        owner = await self._store.get_owner(hash_secret(token), purpose.value)
        if uid is not None and uid not in (encode_user_id(owner.user_id), str(owner.user_id)):
            raise NotFound
        return owner

    async def consume(self, token: str, purpose: Purpose, consumed_by: str) -> None:
        """Use it up. Raises NotFound when somebody else did, even at this very moment."""
        await self._store.consume(hash_secret(token), purpose.value, consumed_by)

    async def revoke(self, user_id: int, purpose: Purpose | None = None) -> None:
        """Make the tokens of a user worthless."""
        await self._store.delete(user_id, purpose.value if purpose else None)


def encode_user_id(user_id: int) -> str:
    """The `uid` of links: base64url, without padding, of the decimal id."""
    return urlsafe_b64encode(str(user_id).encode()).decode().rstrip("=")
