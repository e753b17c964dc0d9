"""Integer ids that are never given twice, whichever process asks."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

_MAX_ATTEMPTS = 5


class CounterStore:
    """One document for each counter, raised atomically."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._counters = database["counters"]

    async def allocate(self, name: str) -> int:
        """1, 2, 3, ... A number that was taken and not used stays unused."""
        for _ in range(
            _MAX_ATTEMPTS
        ):  # of those that ask for the first number at once, a database may fail all but one
            with suppress(DuplicateKeyError):
                document = await self._counters.find_one_and_update(
                    {"_id": name}, {"$inc": {"value": 1}}, upsert=True, return_document=ReturnDocument.AFTER
                )
                if document is not None:
                    return int(document["value"])
        raise RuntimeError(f"no number for {name} in {_MAX_ATTEMPTS} tries")

    async def get_last(self, name: str) -> int:
        """The number that was given last; 0 before the first."""
        document = await self._counters.find_one({"_id": name})
        return int(document["value"]) if document else 0

    async def advance_to(self, name: str, number: int) -> None:
        """Give none up to this number any more. Safe to repeat."""
        await self._counters.update_one({"_id": name}, {"$max": {"value": number}}, upsert=True)
