"""The collection of films that people have put on their lists."""

from __future__ import annotations

from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import DESCENDING

from videoflix.models import now


class MyListStore:
    """One document for each film on somebody's list."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._entries = database["list_entries"]

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await self._entries.create_index([("user_id", 1), ("added_at", DESCENDING)])
        await self._entries.create_index("video_id")

    async def add(self, user_id: int, video_id: int) -> None:
        """A film that is on the list already keeps its place."""
        entry = {"user_id": user_id, "video_id": video_id, "added_at": now()}
        await self._entries.update_one({"_id": _id(user_id, video_id)}, {"$setOnInsert": entry}, upsert=True)

    async def remove(self, user_id: int, video_id: int) -> None:
        """Safe to repeat."""
        await self._entries.delete_one({"_id": _id(user_id, video_id)})

    async def has(self, user_id: int, video_id: int) -> bool:
        """Whether the film is on the user's list."""
        return await self._entries.find_one({"_id": _id(user_id, video_id)}, {"_id": 1}) is not None

    async def of_user(self, user_id: int) -> list[int]:
        """Ids of films, the last added first."""
        found = self._entries.find({"user_id": user_id}).sort([("added_at", DESCENDING), ("_id", DESCENDING)])
        return [document["video_id"] async for document in found]

    async def forget_user(self, user_id: int) -> None:
        """Safe to repeat."""
        await self._entries.delete_many({"user_id": user_id})

    async def forget_video(self, video_id: int) -> None:
        """Safe to repeat."""
        await self._entries.delete_many({"video_id": video_id})


def _id(user_id: int, video_id: int) -> str:
    return f"{user_id}:{video_id}"
