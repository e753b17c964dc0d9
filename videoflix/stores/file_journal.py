"""The journal of deleted and arriving videos, from which leftover files are found after a crash.

A deletion is kept for as long as a delayed worker might still write files of the video. An arrival is recorded before
the video is stored: if a crash prevents that, nothing else refers to its file. The collection is called `deletions`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase

from videoflix.models import now

_RETENTION_S = 7 * 24 * 3600  # a worker that was paused for longer is not expected to resume
_ARRIVAL_TIMEOUT_S = 300.0  # after which an arriving video that is not stored never will be


class FileJournalStore:
    """One document for each deleted or arriving video. A finished deletion expires."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._entries = database["deletions"]

    async def create_indexes(self) -> None:
        """Create the indexes of the collection. Idempotent."""
        await self._entries.create_index("finished_at", expireAfterSeconds=_RETENTION_S)

    async def record_deletion(self, video_id: int, source: str) -> None:
        """Record a deletion, before the video is deleted: otherwise a crash could orphan its files. Idempotent."""
        await self._record(video_id, source)

    async def record_arrival(self, video_id: int, source: str) -> None:
        """Record that a video is about to be stored. If that never happens, its file is later treated as deleted."""
        await self._record(video_id, source, is_arriving=True)

    async def clear_arrival(self, video_id: int) -> None:
        """Remove the record of an arrival once the video is stored. Idempotent; a deletion is kept."""
        await self._entries.delete_one({"_id": video_id, "is_arriving": True})

    async def list_unfinished(self, min_age_s: float) -> list[int]:
        """Return the ids of deletions at least this old (seconds) that may still be on lists, rated or watched."""
        query = {"finished_at": None, "deleted_at": {"$lte": now() - timedelta(seconds=min_age_s)}}
        return [document["_id"] async for document in self._entries.find(query, {"_id": 1})]

    async def mark_finished(self, video_id: int) -> None:
        """Record that no user holds anything of the video. Idempotent."""
        await self._entries.update_one({"_id": video_id}, {"$set": {"finished_at": now()}})

    async def list_all(self) -> list[tuple[int, str]]:
        """Return the ids and sources of all entries, except recent arrivals."""
        overdue = {"$lte": now() - timedelta(seconds=_ARRIVAL_TIMEOUT_S)}
        documents = self._entries.find({"$or": [{"is_arriving": None}, {"deleted_at": overdue}]})
        return [(document["_id"], document["source"]) async for document in documents]

    async def _record(self, video_id: int, source: str, **flags: bool) -> None:
        fields = {"_id": video_id, "source": source, "deleted_at": now(), **flags}
        await self._entries.replace_one({"_id": video_id}, fields, upsert=True)
