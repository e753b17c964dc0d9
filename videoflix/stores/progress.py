"""The collection of what people have watched, and how far."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pymongo import DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from videoflix.models import Progress
from videoflix.stores.viewers import ViewerStore, key

_DUPLICATE_KEY = 11000


class ProgressStore(ViewerStore):
    """One document for each film that a user has begun."""

    collection = "progress"

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await super().create_indexes()
        await self._documents.create_index([("user_id", 1), ("finished", 1), ("updated_at", DESCENDING)])

    async def keep(self, reports: Collection[Progress]) -> None:
        """All at once. A report never replaces a newer one, whichever process wrote that. Safe to repeat."""
        try:
            await self._documents.bulk_write([_newer(report) for report in reports], ordered=False)
        except BulkWriteError as error:
            # Where a newer report is there already, nothing matches, and the upsert meets its key.
            if any(failed["code"] != _DUPLICATE_KEY for failed in error.details["writeErrors"]):
                raise

    async def remove_until(self, user_id: int, video_id: int, moment: datetime) -> None:
        """Unless it is newer. Safe to repeat."""
        await self._documents.delete_one({"_id": key(user_id, video_id), "updated_at": {"$lte": moment}})

    async def get(self, user_id: int, video_id: int) -> Progress | None:
        """None for a film that was not begun."""
        document = await self._documents.find_one({"_id": key(user_id, video_id)})
        return _report(document) if document else None

    async def unfinished(self, user_id: int) -> list[Progress]:
        """The films of a user that are not finished, in no order."""
        return [_report(document) async for document in self._documents.find({"user_id": user_id, "finished": False})]

    async def viewers(self) -> Mapping[int, int]:
        """How many people have begun each film."""
        counted = self._documents.aggregate([{"$group": {"_id": "$video_id", "viewers": {"$sum": 1}}}])
        return {document["_id"]: document["viewers"] async for document in counted}


def _newer(report: Progress) -> UpdateOne:
    older = {"_id": key(*report.key), "updated_at": {"$lte": report.updated_at}}
    return UpdateOne(older, {"$set": asdict(report)}, upsert=True)


def _report(document: dict[str, Any]) -> Progress:
    return Progress(**{name: document[name] for name in Progress.__slots__})
