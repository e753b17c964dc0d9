"""The collection of what people have watched, and how far."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from videoflix.models import Progress

_DUPLICATE_KEY = 11000


class ProgressStore:
    """One document for each film that a user has begun."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._progress = database["progress"]

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await self._progress.create_index([("user_id", 1), ("updated_at", DESCENDING)])
        await self._progress.create_index("video_id")

    async def keep(self, reports: Collection[Progress]) -> None:
        """All at once. A report never replaces a newer one, whichever process wrote that. Safe to repeat."""
        try:
            await self._progress.bulk_write([_newer(report) for report in reports], ordered=False)
        except BulkWriteError as error:
            # Where a newer report is there already, nothing matches, and the upsert meets its key.
            if any(failed["code"] != _DUPLICATE_KEY for failed in error.details["writeErrors"]):
                raise

    async def of_user(self, user_id: int) -> list[Progress]:
        """Last watched first."""
        found = self._progress.find({"user_id": user_id}).sort("updated_at", DESCENDING)
        return [_report(document) async for document in found]

    async def get(self, user_id: int, video_id: int) -> Progress | None:
        """None for a film that was not begun."""
        document = await self._progress.find_one({"_id": _id(user_id, video_id)})
        return _report(document) if document else None

    async def viewers(self) -> Mapping[int, int]:
        """How many people have begun each film."""
        counted = self._progress.aggregate([{"$group": {"_id": "$video_id", "viewers": {"$sum": 1}}}])
        return {document["_id"]: document["viewers"] async for document in counted}

    async def forget(self, user_id: int, video_id: int) -> None:
        """Safe to repeat."""
        await self._progress.delete_one({"_id": _id(user_id, video_id)})

    async def forget_user(self, user_id: int) -> None:
        """Safe to repeat."""
        await self._progress.delete_many({"user_id": user_id})

    async def forget_video(self, video_id: int) -> None:
        """Safe to repeat."""
        await self._progress.delete_many({"video_id": video_id})


def _id(user_id: int, video_id: int) -> str:
    return f"{user_id}:{video_id}"


def _newer(report: Progress) -> UpdateOne:
    older = {"_id": _id(*report.key), "updated_at": {"$lte": report.updated_at}}
    return UpdateOne(older, {"$set": asdict(report)}, upsert=True)


def _report(document: dict[str, Any]) -> Progress:
    return Progress(**{name: document[name] for name in Progress.__slots__})
