"""The collections with one document for each user and video: lists, ratings and progress."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from videoflix.models import Rating, Votes, WatchProgress, now

_DUPLICATE_KEY = 11000  # error code of MongoDB


class UserVideoStore:
    """A collection with one document for each user and video, without those of deleted users and videos."""

    collection: str

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._documents = database[self.collection]

    async def create_indexes(self) -> None:
        """Create the indexes of the collection. Idempotent."""
        await self._documents.create_index("video_id")

    async def delete(self, user_id: int, video_id: int) -> None:
        """Delete the document of a user and a video. Idempotent."""
        await self._documents.delete_one({"_id": document_id(user_id, video_id)})

    async def delete_for_user(self, user_id: int) -> None:
        """Delete all documents of a user. Idempotent."""
        await self._documents.delete_many({"user_id": user_id})

    async def delete_for_video(self, video_id: int) -> None:
        """Delete all documents of a video. Idempotent."""
        await self._documents.delete_many({"video_id": video_id})


def document_id(user_id: int, video_id: int) -> str:
    """Return the `_id` of the document of a user and a video."""
    return f"{user_id}:{video_id}"


class MyListStore(UserVideoStore):
    """One document for each video on somebody's list."""

    collection = "list_entries"

    async def create_indexes(self) -> None:
        """Create the indexes of the collection. Idempotent."""
        await super().create_indexes()
        await self._documents.create_index([("user_id", 1), ("added_at", DESCENDING)])

    async def add(self, user_id: int, video_id: int) -> None:
        """Add a video. One that is already on the list keeps its position."""
        entry = {"user_id": user_id, "video_id": video_id, "added_at": now()}
        await self._documents.update_one({"_id": document_id(user_id, video_id)}, {"$setOnInsert": entry}, upsert=True)

    async def contains(self, user_id: int, video_id: int) -> bool:
        """Return whether the video is on the user's list."""
        return await self._documents.find_one({"_id": document_id(user_id, video_id)}, {"_id": 1}) is not None

    async def list_for_user(self, user_id: int) -> list[int]:
        """Return the ids of the videos on a user's list, the last added first."""
        documents = self._documents.find({"user_id": user_id}, {"video_id": 1}).sort("added_at", DESCENDING)
        return [document["video_id"] async for document in documents]


class RatingStore(UserVideoStore):
    """One document for each rating."""

    collection = "ratings"

    async def create_indexes(self) -> None:
        """Create the indexes of the collection. Idempotent."""
        await super().create_indexes()
        await self._documents.create_index("user_id")

    async def put(self, user_id: int, video_id: int, rating: Rating) -> None:
        """Set the rating of a user for a video."""
        fields = {"user_id": user_id, "video_id": video_id, "rating": rating.value, "rated_at": now()}
        await self._documents.update_one({"_id": document_id(user_id, video_id)}, {"$set": fields}, upsert=True)

    async def get(self, user_id: int, video_id: int) -> Rating | None:
        """Return the rating of a user, or None."""
        document = await self._documents.find_one({"_id": document_id(user_id, video_id)})
        return Rating(document["rating"]) if document else None

    async def count_votes(self, video_id: int) -> Votes:
        """Return the votes for a video."""
        return (await self._aggregate_votes({"video_id": video_id})).get(video_id, Votes(0, 0))

    async def count_all_votes(self) -> Mapping[int, Votes]:
        """Return the votes for all rated videos, by id."""
        return await self._aggregate_votes({})

    async def _aggregate_votes(self, query: Mapping[str, object]) -> Mapping[int, Votes]:
        ups = {"$sum": {"$cond": [{"$eq": ["$rating", Rating.UP.value]}, 1, 0]}}
        group = {"$group": {"_id": "$video_id", "ups": ups, "all": {"$sum": 1}}}
        rows = self._documents.aggregate([{"$match": query}, group])
        return {row["_id"]: Votes(row["ups"], row["all"] - row["ups"]) async for row in rows}


class ProgressStore(UserVideoStore):
    """One document for each video that a user has started."""

    collection = "progress"

    async def create_indexes(self) -> None:
        """Create the indexes of the collection. Idempotent."""
        await super().create_indexes()
        await self._documents.create_index([("user_id", 1), ("finished", 1), ("updated_at", DESCENDING)])

    async def save_all(self, reports: Collection[WatchProgress]) -> None:
        """Write reports in one call. A report never replaces a newer one of any process. Idempotent."""
        try:
            await self._documents.bulk_write([_upsert_if_newer(report) for report in reports], ordered=False)
        except BulkWriteError as error:
            # If a newer report exists, nothing matches, and the upsert fails on its key.
            if any(failure["code"] != _DUPLICATE_KEY for failure in error.details["writeErrors"]):
                raise

    async def remove_until(self, user_id: int, video_id: int, moment: datetime) -> None:
        """Delete a report unless it is newer than the given time. Idempotent."""
        await self._documents.delete_one({"_id": document_id(user_id, video_id), "updated_at": {"$lte": moment}})

    async def get(self, user_id: int, video_id: int) -> WatchProgress | None:
        """Return the progress of a user, or None if the video was not started."""
        document = await self._documents.find_one({"_id": document_id(user_id, video_id)})
        return _from_document(document) if document else None

    async def list_unfinished(self, user_id: int) -> list[WatchProgress]:
        """Return the progress of a user on all unfinished videos, in no particular order."""
        return [
            _from_document(document) async for document in self._documents.find({"user_id": user_id, "finished": False})
        ]

    async def count_viewers(self) -> Mapping[int, int]:
        """Return how many users have started each video, by id."""
        rows = self._documents.aggregate([{"$group": {"_id": "$video_id", "viewers": {"$sum": 1}}}])
        return {row["_id"]: row["viewers"] async for row in rows}


def _upsert_if_newer(report: WatchProgress) -> UpdateOne:
    not_newer = {"_id": document_id(*report.key), "updated_at": {"$lte": report.updated_at}}
    return UpdateOne(not_newer, {"$set": asdict(report)}, upsert=True)


def _from_document(document: dict[str, Any]) -> WatchProgress:
    return WatchProgress(**{name: document[name] for name in WatchProgress.__slots__})
