"""Integer ids that are never given twice, whichever process asks."""

from __future__ import annotations

from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import ReturnDocument


class CounterStore:
    """One document for each counter, raised atomically."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._counters = database["counters"]

    async def next(self, name: str) -> int:
        """1, 2, 3, ... A number that was taken and not used stays unused."""
        document = await self._counters.find_one_and_update(
            {"_id": name}, {"$inc": {"value": 1}}, upsert=True, return_document=ReturnDocument.AFTER
        )
        assert document is not None  # an upsert returns what it made
        return int(document["value"])

    async def last(self, name: str) -> int:
        """The number that was given last; 0 before the first."""
        document = await self._counters.find_one({"_id": name})
        return int(document["value"]) if document else 0

    async def pass_over(self, name: str, number: int) -> None:
        """Give none up to this number any more. Safe to repeat."""
        await self._counters.update_one({"_id": name}, {"$max": {"value": number}}, upsert=True)
