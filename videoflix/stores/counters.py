"""Integer ids that are unique across all processes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

_MAX_ATTEMPTS = 5


class CounterStore:
    """One document for each counter, incremented atomically."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._counters = database["counters"]

    async def allocate(self, name: str) -> int:
        """Return the next number, starting with 1. A number that is not used by the caller is skipped."""
        for _ in range(_MAX_ATTEMPTS):  # of simultaneous requests for the first number, a database may fail all but one
            with suppress(DuplicateKeyError):
                document = await self._counters.find_one_and_update(
                    {"_id": name}, {"$inc": {"value": 1}}, upsert=True, return_document=ReturnDocument.AFTER
                )
                if document is not None:
                    return int(document["value"])
        raise RuntimeError(f"could not allocate a number of {name!r} in {_MAX_ATTEMPTS} attempts")

    async def get_last(self, name: str) -> int:
        """Return the last allocated number, or 0 before the first."""
        document = await self._counters.find_one({"_id": name})
        return int(document["value"]) if document else 0

    async def advance_to(self, name: str, number: int) -> None:
        """Never allocate this number or a lower one again. Idempotent."""
        await self._counters.update_one({"_id": name}, {"$max": {"value": number}}, upsert=True)
