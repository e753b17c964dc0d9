"""The collection of ratings: up or down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase

from videoflix.models import Rating, Votes, now


class RatingStore:
    """One document for each film that a user has rated."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._ratings = database["ratings"]

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await self._ratings.create_index("user_id")
        await self._ratings.create_index([("video_id", 1), ("rating", 1)])

    async def put(self, user_id: int, video_id: int, rating: Rating) -> None:
        """The user's only rating of this film from now on."""
        fields = {"user_id": user_id, "video_id": video_id, "rating": rating.value, "rated_at": now()}
        await self._ratings.update_one({"_id": _id(user_id, video_id)}, {"$set": fields}, upsert=True)

    async def remove(self, user_id: int, video_id: int) -> None:
        """Safe to repeat."""
        await self._ratings.delete_one({"_id": _id(user_id, video_id)})

    async def get(self, user_id: int, video_id: int) -> Rating | None:
        """None when the user has not rated it."""
        document = await self._ratings.find_one({"_id": _id(user_id, video_id)})
        return Rating(document["rating"]) if document else None

    async def votes(self, video_id: int) -> Votes:
        """How many rated this film up and down."""
        return (await self._votes({"video_id": video_id})).get(video_id, Votes(0, 0))

    async def all_votes(self) -> Mapping[int, Votes]:
        """Of every film that was rated."""
        return await self._votes({})

    async def forget_user(self, user_id: int) -> None:
        """Safe to repeat."""
        await self._ratings.delete_many({"user_id": user_id})

    async def forget_video(self, video_id: int) -> None:
        """Safe to repeat."""
        await self._ratings.delete_many({"video_id": video_id})

    async def _votes(self, wanted: Mapping[str, object]) -> Mapping[int, Votes]:
        ups = {"$sum": {"$cond": [{"$eq": ["$rating", Rating.UP.value]}, 1, 0]}}
        group = {"$group": {"_id": "$video_id", "ups": ups, "all": {"$sum": 1}}}
        counted = self._ratings.aggregate([{"$match": wanted}, group])
        return {found["_id"]: Votes(found["ups"], found["all"] - found["ups"]) async for found in counted}


def _id(user_id: int, video_id: int) -> str:
    return f"{user_id}:{video_id}"
