"""What collections of one document for each user and film have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from videoflix.models import Rating, Votes, WatchProgress, now


class UserVideoStore:
    """Documents of one user and one film; what was deleted leaves nothing behind."""

    collection: str

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._documents = database[self.collection]

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await self._documents.create_index("video_id")

    async def delete(self, user_id: int, video_id: int) -> None:
        """Safe to repeat."""
        await self._documents.delete_one({"_id": document_id(user_id, video_id)})

    async def delete_for_user(self, user_id: int) -> None:
        """Safe to repeat."""
        await self._documents.delete_many({"user_id": user_id})

    async def delete_for_video(self, video_id: int) -> None:
        """Safe to repeat."""
        await self._documents.delete_many({"video_id": video_id})


def document_id(user_id: int, video_id: int) -> str:
    """The `_id` of the only document of this user and this film."""
    return f"{user_id}:{video_id}"


class MyListStore(UserVideoStore):
    """One document for each film on somebody's list."""

    collection = "list_entries"

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await super().create_indexes()
        await self._documents.create_index([("user_id", 1), ("added_at", DESCENDING)])

    async def add(self, user_id: int, video_id: int) -> None:
        """A film that is on the list already keeps its place."""
        entry = {"user_id": user_id, "video_id": video_id, "added_at": now()}
        await self._documents.update_one({"_id": document_id(user_id, video_id)}, {"$setOnInsert": entry}, upsert=True)

    async def contains(self, user_id: int, video_id: int) -> bool:
        """Whether the film is on the user's list."""
        return await self._documents.find_one({"_id": document_id(user_id, video_id)}, {"_id": 1}) is not None

    async def list_for_user(self, user_id: int) -> list[int]:
        """Ids of films, the last added first."""
        found = self._documents.find({"user_id": user_id}, {"video_id": 1}).sort("added_at", DESCENDING)
        return [document["video_id"] async for document in found]


class RatingStore(UserVideoStore):
    """One document for each film that a user has rated."""

    collection = "ratings"

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await super().create_indexes()
        await self._documents.create_index("user_id")

    async def put(self, user_id: int, video_id: int, rating: Rating) -> None:
        """The user's only rating of this film from now on."""
        fields = {"user_id": user_id, "video_id": video_id, "rating": rating.value, "rated_at": now()}
        await self._documents.update_one({"_id": document_id(user_id, video_id)}, {"$set": fields}, upsert=True)

    async def get(self, user_id: int, video_id: int) -> Rating | None:
        """None when the user has not rated it."""
        document = await self._documents.find_one({"_id": document_id(user_id, video_id)})
        return Rating(document["rating"]) if document else None

    async def count_votes(self, video_id: int) -> Votes:
        """How many rated this film up and down."""
        return (await self._aggregate_votes({"video_id": video_id})).get(video_id, Votes(0, 0))

    async def count_all_votes(self) -> Mapping[int, Votes]:
        """Of every film that was rated."""
        return await self._aggregate_votes({})

    async def _aggregate_votes(self, query: Mapping[str, object]) -> Mapping[int, Votes]:
        ups = {"$sum": {"$cond": [{"$eq": ["$rating", Rating.UP.value]}, 1, 0]}}
        group = {"$group": {"_id": "$video_id", "ups": ups, "all": {"$sum": 1}}}
        counted = self._documents.aggregate([{"$match": query}, group])
        return {found["_id"]: Votes(found["ups"], found["all"] - found["ups"]) async for found in counted}


_DUPLICATE_KEY = 11000


class ProgressStore(UserVideoStore):
    """One document for each film that a user has begun."""

    collection = "progress"

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await super().create_indexes()
        await self._documents.create_index([("user_id", 1), ("finished", 1), ("updated_at", DESCENDING)])

    async def save_all(self, reports: Collection[WatchProgress]) -> None:
        """All at once. A report never replaces a newer one, whichever process wrote that. Safe to repeat."""
        try:
            await self._documents.bulk_write([_upsert_if_newer(report) for report in reports], ordered=False)
        except BulkWriteError as error:
            # Where a newer report is there already, nothing matches, and the upsert meets its key.
            if any(failed["code"] != _DUPLICATE_KEY for failed in error.details["writeErrors"]):
                raise

    async def remove_until(self, user_id: int, video_id: int, moment: datetime) -> None:
        """Unless it is newer. Safe to repeat."""
        await self._documents.delete_one({"_id": document_id(user_id, video_id), "updated_at": {"$lte": moment}})

    async def get(self, user_id: int, video_id: int) -> WatchProgress | None:
        """None for a film that was not begun."""
        document = await self._documents.find_one({"_id": document_id(user_id, video_id)})
        return _from_document(document) if document else None

    async def list_unfinished(self, user_id: int) -> list[WatchProgress]:
        """The films of a user that are not finished, in no order."""
        return [
            _from_document(document) async for document in self._documents.find({"user_id": user_id, "finished": False})
        ]

    async def count_viewers(self) -> Mapping[int, int]:
        """How many people have begun each film."""
        counted = self._documents.aggregate([{"$group": {"_id": "$video_id", "viewers": {"$sum": 1}}}])
        return {document["_id"]: document["viewers"] async for document in counted}


def _upsert_if_newer(report: WatchProgress) -> UpdateOne:
    older = {"_id": document_id(*report.key), "updated_at": {"$lte": report.updated_at}}
    return UpdateOne(older, {"$set": asdict(report)}, upsert=True)


def _from_document(document: dict[str, Any]) -> WatchProgress:
    return WatchProgress(**{name: document[name] for name in WatchProgress.__slots__})
