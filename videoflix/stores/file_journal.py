"""The collection of deletions: which films are gone, kept for as long as something of them might still come in.

A film that is about to come in is announced here too: when a crash ends that, nobody else knows of its file.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase

from videoflix.models import now

_RETENTION_S = 7 * 24 * 3600  # seconds; a worker that was paused for longer does not come back
_ARRIVAL_TIMEOUT_S = 300.0  # seconds from the announcement of a film until it is in the catalogue, or never will be


class FileJournalStore:
    """One document for each deleted video; those expire of which nothing is left."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._entries = database["deletions"]

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await self._entries.create_index("finished_at", expireAfterSeconds=_RETENTION_S)

    async def record_deletion(self, video_id: int, source: str) -> None:
        """Write it before the video is deleted, or a crash in between leaves its files to nobody. Safe to repeat."""
        await self._record(video_id, source)

    async def record_arrival(self, video_id: int, source: str) -> None:
        """A film is about to come in. Should it not, its file is that of a deleted one, a while later."""
        await self._record(video_id, source, is_arriving=True)

    async def clear_arrival(self, video_id: int) -> None:
        """It is in the catalogue. Safe to repeat; nothing when it was deleted meanwhile."""
        await self._entries.delete_one({"_id": video_id, "is_arriving": True})

    async def list_unfinished(self, min_age_s: float) -> list[int]:
        """Ids of those that were deleted `age` seconds ago or earlier and may have left something that people hold."""
        settled = {"finished_at": None, "deleted_at": {"$lte": now() - timedelta(seconds=min_age_s)}}
        return [document["_id"] async for document in self._entries.find(settled, {"_id": 1})]

    async def mark_finished(self, video_id: int) -> None:
        """Nobody holds anything of it any more. Safe to repeat."""
        await self._entries.update_one({"_id": video_id}, {"$set": {"finished_at": now()}})

    async def list_all(self) -> list[tuple[int, str]]:
        """Ids and sources. Those are left out that may still be about to come in."""
        late = now() - timedelta(seconds=_ARRIVAL_TIMEOUT_S)
        found = self._entries.find({"$or": [{"is_arriving": None}, {"deleted_at": {"$lte": late}}]})
        return [(document["_id"], document["source"]) async for document in found]

    async def _record(self, video_id: int, source: str, **flags: bool) -> None:
        fields = {"_id": video_id, "source": source, "deleted_at": now(), **flags}
        await self._entries.replace_one({"_id": video_id}, fields, upsert=True)
