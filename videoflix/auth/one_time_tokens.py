"""One-time tokens of the links in mails: random, for one purpose, and stored as hashes only."""

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
    """What a link is for."""

    ACTIVATE = "activate"
    RESET = "reset"


_TOKEN_BYTES = 32
# One mail of a kind is enough for this long. Without the pause a stranger could flood a mailbox; a limit on requests
# instead would let the stranger use up the owner's.
_RESEND_AFTER = timedelta(minutes=10)
_LIFETIMES = {Purpose.ACTIVATE: timedelta(hours=24), Purpose.RESET: timedelta(hours=1)}


class OneTimeTokens:
    """Issues and redeems one-time tokens."""

    def __init__(self, store: OneTimeTokenStore) -> None:
        self._store = store

    async def issue(self, user_id: int, purpose: Purpose, mail_id: str) -> str:
        """Return a new URL-safe token for a mail. Earlier ones for the same purpose stay valid."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        await self._store.add(hash_secret(token), user_id, purpose.value, now() + _LIFETIMES[purpose], mail_id)
        return token

    async def set_sent(self, mail_id: str) -> None:
        """Record that a mail has been sent. Idempotent."""
        await self._store.set_sent(mail_id, now())

    async def is_outstanding(self, user_id: int, purpose: Purpose) -> bool:
        """Return whether the user was recently sent a link for this purpose that is still valid."""
        return await self._store.was_sent(user_id, purpose.value, now() - _RESEND_AFTER)

    async def get_owner(self, token: str, purpose: Purpose, uid: str | None = None) -> TokenOwner:
        """Return the owner of a token. Raises NotFound if it is unknown, expired, or not of the user `uid`.

        `uid` is the decimal user id, or its form in links.
        """
        owner = await self._store.get_owner(hash_secret(token), purpose.value)
        if uid is not None and uid not in (encode_user_id(owner.user_id), str(owner.user_id)):
            raise NotFound
        return owner

    async def consume(self, token: str, purpose: Purpose, consumed_by: str) -> None:
        """Use a token up. Raises NotFound if it is not valid any more; of concurrent calls one succeeds."""
        await self._store.consume(hash_secret(token), purpose.value, consumed_by)

    async def revoke(self, user_id: int, purpose: Purpose | None = None) -> None:
        """Delete a user's tokens, of one purpose or all. Idempotent."""
        await self._store.delete(user_id, purpose.value if purpose else None)


def encode_user_id(user_id: int) -> str:
    """Return the `uid` of links: the decimal id in base64url without padding."""
    return urlsafe_b64encode(str(user_id).encode()).decode().rstrip("=")
