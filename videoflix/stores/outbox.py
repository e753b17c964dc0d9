"""The collection of mails that are owed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import DESCENDING
from pymongo.errors import DuplicateKeyError

from videoflix.errors import NotFound

_INITIAL_FIELDS = {"attempts": 0, "error": "", "given_up_at": None, "lease": ""}


class OutboxStore:
    """One document for each mail, removed when it has arrived."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._outbox = database["outbox"]

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await self._outbox.create_index([("given_up_at", 1), ("next_at", 1)])
        await self._outbox.create_index("address")

    async def put(self, key: str, *, created_at: datetime, **fields: object) -> None:
        """Safe to repeat. A mail that waits for its next attempt is due now; one that was given up begins anew."""
        new = {**_INITIAL_FIELDS, **fields, "created_at": created_at}
        revived = await self._outbox.update_one(
            {"_id": key, "given_up_at": {"$ne": None}}, {"$set": {**new, "next_at": created_at}}
        )
        if revived.matched_count == 0:
            with suppress(DuplicateKeyError):  # another process put the same one at the same moment
                await self._outbox.update_one(
                    {"_id": key}, {"$setOnInsert": new, "$min": {"next_at": created_at}}, upsert=True
                )

    async def claim(self, moment: datetime, lease_until: datetime, lease: str) -> dict[str, Any] | None:
        """The one that is due longest, leased."""
        found = await self._outbox.find_one_and_update(
            {"given_up_at": None, "next_at": {"$lte": moment}, "lease_until": {"$lte": moment}},
            {"$set": {"lease": lease, "lease_until": lease_until}, "$inc": {"attempts": 1}},
            sort=[("next_at", 1)],
            return_document=True,
        )
        return _to_fields(found) if found else None

    async def remove(self, key: str, lease: str) -> None:
        """Nothing when the lease is somebody else's by now."""
        await self._outbox.delete_one({"_id": key, "lease": lease})

    async def release(self, key: str, lease: str, **fields: object) -> None:
        """Write down how an attempt ended, and let go of the lease."""
        moment = datetime.fromtimestamp(0).astimezone()
        await self._outbox.update_one(
            {"_id": key, "lease": lease}, {"$set": {**fields, "lease": "", "lease_until": moment}}
        )

    async def make_all_due(self, moment: datetime) -> None:
        """Everything that waits is due now."""
        await self._outbox.update_many({"given_up_at": None, "next_at": {"$gt": moment}}, {"$set": {"next_at": moment}})

    async def requeue(self, key: str, moment: datetime) -> None:
        """Due now, as if it were new. Raises NotFound."""
        done = await self._outbox.update_one(
            {"_id": key}, {"$set": {"given_up_at": None, "created_at": moment, "next_at": moment}}
        )
        if done.matched_count == 0:
            raise NotFound

    async def delete(self, key: str) -> None:
        """Raises NotFound."""
        if (await self._outbox.delete_one({"_id": key})).deleted_count == 0:
            raise NotFound

    async def list_all(self) -> Sequence[dict[str, Any]]:
        """Newest first."""
        return [_to_fields(found) async for found in self._outbox.find().sort("created_at", DESCENDING).limit(1000)]

    async def count_pending_and_given_up(self) -> tuple[int, int]:
        """How many are owed, and how many were given up."""
        given_up = await self._outbox.count_documents({"given_up_at": {"$ne": None}})
        return await self._outbox.count_documents({}) - given_up, given_up

    async def delete_for_address(self, address: str) -> None:
        """Safe to repeat."""
        await self._outbox.delete_many({"address": address})


def _to_fields(document: dict[str, Any]) -> dict[str, Any]:
    return {"id": document["_id"], **{name: value for name, value in document.items() if name != "_id"}}
