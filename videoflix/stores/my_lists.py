"""The collection of films that people have put on their lists."""

from __future__ import annotations

from pymongo import DESCENDING

from videoflix.models import now
from videoflix.stores.viewers import ViewerStore, key


class MyListStore(ViewerStore):
    """One document for each film on somebody's list."""

    collection = "list_entries"

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await super().create_indexes()
        await self._documents.create_index([("user_id", 1), ("added_at", DESCENDING)])

    async def add(self, user_id: int, video_id: int) -> None:
        """A film that is on the list already keeps its place."""
        entry = {"user_id": user_id, "video_id": video_id, "added_at": now()}
        await self._documents.update_one({"_id": key(user_id, video_id)}, {"$setOnInsert": entry}, upsert=True)

    async def has(self, user_id: int, video_id: int) -> bool:
        """Whether the film is on the user's list."""
        return await self._documents.find_one({"_id": key(user_id, video_id)}, {"_id": 1}) is not None

    async def of_user(self, user_id: int) -> list[int]:
        """Ids of films, the last added first."""
        found = self._documents.find({"user_id": user_id}, {"video_id": 1}).sort("added_at", DESCENDING)
        return [document["video_id"] async for document in found]
