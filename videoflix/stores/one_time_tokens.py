"""The collection of one-time tokens, as hashes. It is called `links`, after what the tokens are for."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from motor.motor_asyncio import AsyncIOMotorDatabase

from videoflix.errors import NotFound
from videoflix.models import now


class TokenOwner(NamedTuple):
    """The user of a token, whether the token was used already, and what for."""

    user_id: int
    is_consumed: bool
    consumed_by: str | None


class OneTimeTokenStore:
    """One document per token; MongoDB removes it when it has expired."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._tokens = database["links"]

    async def create_indexes(self) -> None:
        """Create the indexes of the collection. Idempotent."""
        await self._tokens.create_index("expires_at", expireAfterSeconds=0)
        await self._tokens.create_index("user_id")
        await self._tokens.create_index("mail_id")

    async def add(self, token_hash: str, user_id: int, purpose: str, expires_at: datetime, mail_id: str) -> None:
        """Add the hash of a token that is sent in a mail."""
        await self._tokens.insert_one(
            {
                "_id": token_hash,
                "user_id": user_id,
                "purpose": purpose,
                "expires_at": expires_at,
                "used_at": None,
                "mail_id": mail_id,
                "sent_at": None,
            }
        )

    async def set_sent(self, mail_id: str, moment: datetime) -> None:
        """Record when the mail with a token was sent. Idempotent."""
        await self._tokens.update_many({"mail_id": mail_id, "sent_at": None}, {"$set": {"sent_at": moment}})

    async def was_sent(self, user_id: int, purpose: str, since: datetime) -> bool:
        """Return whether a mail with a token that is still valid was sent since then."""
        valid = {"user_id": user_id, "purpose": purpose, "used_at": None, "expires_at": {"$gt": now()}}
        return await self._tokens.find_one({**valid, "sent_at": {"$gte": since}}, {"_id": 1}) is not None

    async def get_owner(self, token_hash: str, purpose: str) -> TokenOwner:
        """Return the owner of a token, even if it was used. Raises NotFound."""
        document = await self._tokens.find_one({"_id": token_hash, "purpose": purpose, "expires_at": {"$gt": now()}})
        if document is None:
            raise NotFound
        return TokenOwner(document["user_id"], document["used_at"] is not None, document.get("used_for"))

    async def consume(self, token_hash: str, purpose: str, consumed_by: str) -> None:
        """Mark a token as used. Raises NotFound if it is not valid any more; of concurrent calls one succeeds."""
        result = await self._tokens.update_one(
            {"_id": token_hash, "purpose": purpose, "used_at": None, "expires_at": {"$gt": now()}},
            {"$set": {"used_at": now(), "used_for": consumed_by}},
        )
        if result.modified_count == 0:
            raise NotFound

    async def delete(self, user_id: int, purpose: str | None = None) -> None:
        """Delete a user's tokens, of one purpose or all. Idempotent."""
        await self._tokens.delete_many({"user_id": user_id, **({"purpose": purpose} if purpose else {})})
