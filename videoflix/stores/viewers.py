"""What collections of one document for each user and film have in common."""

from __future__ import annotations

from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase


class ViewerStore:
    """Documents of one user and one film; what was deleted leaves nothing behind."""

    collection: str

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._documents = database[self.collection]

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await self._documents.create_index("video_id")

    async def remove(self, user_id: int, video_id: int) -> None:
        """Safe to repeat."""
        await self._documents.delete_one({"_id": key(user_id, video_id)})

    async def forget_user(self, user_id: int) -> None:
        """Safe to repeat."""
        await self._documents.delete_many({"user_id": user_id})

    async def forget_video(self, video_id: int) -> None:
        """Safe to repeat."""
        await self._documents.delete_many({"video_id": video_id})


def key(user_id: int, video_id: int) -> str:
    """The `_id` of the only document of this user and this film."""
    return f"{user_id}:{video_id}"
