"""The collection of sessions.

One document is one family of refresh tokens; a session that ended stays as a tombstone for as long as access tokens
of it may live.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import DESCENDING

from videoflix.batching import Batcher
from videoflix.errors import NotFound
from videoflix.models import Session, Tombstone, now

# Refreshes within the grace of a replaced token that a session may have without forgetting one that still has it.
_MAX_PREDECESSORS = 20
_PERSONAL = ("user_id", "device", "address", "current", "previous", "predecessors")  # what goes when a session ends


class SessionStore:
    """Sessions by id and by user. MongoDB removes each document when its `expires_at` has passed."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._sessions = database["sessions"]
        self._batched_insert: Batcher[Session, None] = Batcher(self._insert_batch)

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await self._sessions.create_index("expires_at", expireAfterSeconds=0)
        await self._sessions.create_index([("user_id", 1), ("last_seen", DESCENDING)])
        await self._sessions.create_index("ended_at")

    async def add(self, session: Session) -> None:
        """Open a session."""
        await self._batched_insert(session)

    async def _insert_batch(self, sessions: Sequence[Session]) -> Sequence[None]:
        await self._sessions.insert_many([_to_document(session) for session in sessions])
        return [None] * len(sessions)

    async def get(self, session_id: str) -> Session:
        """A session that lives. Raises NotFound."""
        found = await self._sessions.find_one({"_id": session_id, "ended_at": None, "expires_at": {"$gt": now()}})
        if found is None:
            raise NotFound
        return _from_document(found)

    async def rotate(
        self, session_id: str, token_hash: str, next_hash: str, last_seen_fields: Mapping[str, object]
    ) -> bool:
        """Put the next refresh token in the place of the current one; False when this one is not current any more."""
        moment = now()
        replaced = {"$each": [[token_hash, moment]], "$slice": -_MAX_PREDECESSORS}
        done = await self._sessions.update_one(
            {"_id": session_id, "current": token_hash, "ended_at": None, "expires_at": {"$gt": moment}},
            {
                "$set": {"current": next_hash, "previous": token_hash, "rotated_at": moment, **last_seen_fields},
                "$push": {"predecessors": replaced},
            },
        )
        return done.modified_count == 1

    async def touch(self, session_id: str, last_seen_fields: Mapping[str, object]) -> None:
        """Note when, from where and with what it was seen last."""
        await self._sessions.update_one({"_id": session_id, "ended_at": None}, {"$set": dict(last_seen_fields)})

    async def list_for_user(self, user_id: int) -> list[Session]:
        """Those that live, the one that was seen last first."""
        found = self._sessions.find({"user_id": user_id, "ended_at": None, "expires_at": {"$gt": now()}})
        return [_from_document(document) async for document in found.sort("last_seen", DESCENDING)]

    async def list_over_limit(self, user_id: int, limit: int) -> list[str]:
        """Ids of this user's living sessions but for the `most` that were seen last."""
        found = self._sessions.find({"user_id": user_id, "ended_at": None}, {"_id": 1})
        return [document["_id"] async for document in found.sort("last_seen", DESCENDING).skip(limit)]

    async def end(self, until: datetime, **filters: object) -> Sequence[str]:
        """End the living sessions that match (`_id=`, `user_id=`), keep tombstones `until` then; their ids."""
        query = {**filters, "ended_at": None}
        ids = [document["_id"] async for document in self._sessions.find(query, {"_id": 1})]
        await self._sessions.update_many(
            {"_id": {"$in": ids}, "ended_at": None},
            {
                "$set": {"expires_at": until},
                "$currentDate": {"ended_at": True},  # by the clock of the database: those of web processes differ
                "$unset": {
                    "user_id": "",
                    "device": "",
                    "address": "",
                    "current": "",
                    "previous": "",
                    "predecessors": "",
                },
            },
        )
        return ids

    async def list_ended_since(self, since: datetime) -> list[Tombstone]:
        """The tombstones of sessions that ended after that."""
        found = self._sessions.find({"ended_at": {"$gt": since}}, {"ended_at": 1, "expires_at": 1})
        return [Tombstone(it["_id"], it["ended_at"], it["expires_at"].timestamp()) for it in await found.to_list(None)]


def _to_document(session: Session) -> dict[str, Any]:
    return {"_id" if name == "id" else name: getattr(session, name) for name in Session.__slots__}


def _from_document(document: dict[str, Any]) -> Session:
    fields = {name: value for name, value in document.items() if name in Session.__slots__}
    return Session(id=document["_id"], **fields)
