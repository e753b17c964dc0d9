"""The collection of mails to send."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypedDict, Unpack

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import DESCENDING
from pymongo.errors import DuplicateKeyError

from videoflix.errors import NotFound

_INITIAL_FIELDS = {"attempts": 0, "error": "", "given_up_at": None, "lease": ""}
_EPOCH = datetime.fromtimestamp(0, UTC)  # the `lease_until` of a mail that nobody holds
_MAX_LISTED_MAILS = 1000


class MailFields(TypedDict):
    """A mail as it is stored, with `_id` as `id`."""

    id: str
    kind: str
    address: str
    created_at: datetime
    next_at: datetime
    attempts: int
    error: str
    given_up_at: datetime | None
    lease: str
    lease_until: datetime


class AttemptFields(TypedDict, total=False):
    """What a failed attempt changes: the error, and when to try again or that the mail was given up."""

    error: str
    next_at: datetime
    given_up_at: datetime


class OutboxStore:
    """One document per mail, removed when the mail was delivered."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._outbox = database["outbox"]

    async def create_indexes(self) -> None:
        """Create the indexes of the collection. Idempotent."""
        await self._outbox.create_index([("given_up_at", 1), ("next_at", 1)])
        await self._outbox.create_index("address")

    async def put(self, mail_id: str, *, kind: str, address: str, created_at: datetime, lease_until: datetime) -> None:
        """Add a mail. A pending one becomes due now; one that was given up starts again. Idempotent."""
        message = {"kind": kind, "address": address, "created_at": created_at, "lease_until": lease_until}
        new = {**_INITIAL_FIELDS, **message}
        restarted = await self._outbox.update_one(
            {"_id": mail_id, "given_up_at": {"$ne": None}}, {"$set": {**new, "next_at": created_at}}
        )
        if restarted.matched_count == 0:
            with suppress(DuplicateKeyError):  # another process added the same mail concurrently
                await self._outbox.update_one(
                    {"_id": mail_id}, {"$setOnInsert": new, "$min": {"next_at": created_at}}, upsert=True
                )

    async def claim(self, moment: datetime, lease_until: datetime, lease: str) -> MailFields | None:
        """Lease the mail that has been due longest and return it, or None if no mail is due."""
        document = await self._outbox.find_one_and_update(
            {"given_up_at": None, "next_at": {"$lte": moment}, "lease_until": {"$lte": moment}},
            {"$set": {"lease": lease, "lease_until": lease_until}, "$inc": {"attempts": 1}},
            sort=[("next_at", 1)],
            return_document=True,
        )
        return _to_fields(document) if document else None

    async def remove(self, mail_id: str, lease: str) -> None:
        """Remove a mail, unless another process holds the lease by now."""
        await self._outbox.delete_one({"_id": mail_id, "lease": lease})

    async def release(self, mail_id: str, lease: str, **fields: Unpack[AttemptFields]) -> None:
        """Record how an attempt ended and release the lease, unless another process holds it by now."""
        await self._outbox.update_one(
            {"_id": mail_id, "lease": lease}, {"$set": {**fields, "lease": "", "lease_until": _EPOCH}}
        )

    async def make_all_due(self, moment: datetime) -> None:
        """Make all pending mails due at `moment`."""
        await self._outbox.update_many({"given_up_at": None, "next_at": {"$gt": moment}}, {"$set": {"next_at": moment}})

    async def requeue(self, mail_id: str, moment: datetime) -> None:
        """Make a mail due at `moment`, as if it were new. Raises NotFound."""
        result = await self._outbox.update_one(
            {"_id": mail_id}, {"$set": {"given_up_at": None, "created_at": moment, "next_at": moment}}
        )
        if result.matched_count == 0:
            raise NotFound

    async def delete(self, mail_id: str) -> None:
        """Delete a mail. Raises NotFound."""
        if (await self._outbox.delete_one({"_id": mail_id})).deleted_count == 0:
            raise NotFound

    async def list_all(self) -> Sequence[MailFields]:
        """Return the mails, newest first, and at most 1,000 of them."""
        cursor = self._outbox.find().sort("created_at", DESCENDING).limit(_MAX_LISTED_MAILS)
        return [_to_fields(document) async for document in cursor]

    async def count_pending_and_given_up(self) -> tuple[int, int]:
        """Return how many mails are pending, and how many were given up."""
        given_up = await self._outbox.count_documents({"given_up_at": {"$ne": None}})
        return await self._outbox.count_documents({}) - given_up, given_up

    async def delete_for_address(self, address: str) -> None:
        """Delete all mails to an address. Idempotent."""
        await self._outbox.delete_many({"address": address})


def _to_fields(document: dict[str, Any]) -> MailFields:
    return MailFields(
        id=document["_id"],
        kind=document["kind"],
        address=document["address"],
        created_at=document["created_at"],
        next_at=document["next_at"],
        attempts=document["attempts"],
        error=document["error"],
        given_up_at=document["given_up_at"],
        lease=document["lease"],
        lease_until=document["lease_until"],
    )
