"""The collection of sessions.

A document is one session with its chain of refresh tokens. A session that ended stays as a tombstone for as long as
its access tokens may live.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, TypedDict

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import DESCENDING

from videoflix.batching import Batcher
from videoflix.errors import NotFound
from videoflix.models import Session, Tombstone, now

# Replaced tokens that are stored per session: as many refreshes as fit into the grace period of one token.
_MAX_PREDECESSORS = 20
_PERSONAL_FIELDS = ("user_id", "device", "address", "current", "previous", "predecessors")  # not kept in tombstones


class LastSeen(TypedDict):
    """When a session was last used, and by which client."""

    last_seen: datetime
    device: str
    address: str


class SessionStore:
    """Sessions by id and by user. MongoDB removes each document when its `expires_at` has passed."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._sessions = database["sessions"]
        self._batched_insert: Batcher[Session, None] = Batcher(self._insert_batch)

    async def create_indexes(self) -> None:
        """Create the indexes of the collection. Idempotent."""
        await self._sessions.create_index("expires_at", expireAfterSeconds=0)
        await self._sessions.create_index([("user_id", 1), ("last_seen", DESCENDING)])
        await self._sessions.create_index("ended_at")

    async def add(self, session: Session) -> None:
        """Add a session."""
        await self._batched_insert(session)

    async def _insert_batch(self, sessions: Sequence[Session]) -> Sequence[None]:
        await self._sessions.insert_many([_to_document(session) for session in sessions])
        return [None] * len(sessions)

    async def get(self, session_id: str) -> Session:
        """Return an active session. Raises NotFound."""
        document = await self._sessions.find_one({"_id": session_id, "ended_at": None, "expires_at": {"$gt": now()}})
        if document is None:
            raise NotFound
        return _from_document(document)

    async def rotate(
        self, session_id: str, token_hash: str, next_hash: str, last_seen: LastSeen, expires_at: datetime
    ) -> bool:
        """Replace the current refresh token by the next one. Return False if `token_hash` is not current any more."""
        moment = now()
        replaced = {"$each": [[token_hash, moment]], "$slice": -_MAX_PREDECESSORS}
        rotated = {"current": next_hash, "previous": token_hash, "rotated_at": moment, "expires_at": expires_at}
        result = await self._sessions.update_one(
            {"_id": session_id, "current": token_hash, "ended_at": None, "expires_at": {"$gt": moment}},
            {"$set": {**rotated, **last_seen}, "$push": {"predecessors": replaced}},
        )
        return result.modified_count == 1

    async def touch(self, session_id: str, last_seen: LastSeen) -> None:
        """Record the last use of an active session."""
        await self._sessions.update_one({"_id": session_id, "ended_at": None}, {"$set": last_seen})

    async def list_for_user(self, user_id: int) -> list[Session]:
        """Return a user's active sessions, most recently used first."""
        cursor = self._sessions.find({"user_id": user_id, "ended_at": None, "expires_at": {"$gt": now()}})
        return [_from_document(document) async for document in cursor.sort("last_seen", DESCENDING)]

    async def list_over_limit(self, user_id: int, limit: int) -> list[str]:
        """Return the ids of a user's sessions except for the `limit` most recently used ones."""
        cursor = self._sessions.find({"user_id": user_id, "ended_at": None}, {"_id": 1})
        return [document["_id"] async for document in cursor.sort("last_seen", DESCENDING).skip(limit)]

    async def end(
        self, until: datetime, session_ids: Collection[str] | None = None, *, user_id: int | None = None
    ) -> Sequence[str]:
        """End sessions by id, by user, or by both; return the ids of those that were active.

        Their tombstones stay `until` then. Raises ValueError without a condition.
        """
        if session_ids is None and user_id is None:
            raise ValueError("Name the sessions to end, or their user.")
        query: dict[str, Any] = {"ended_at": None}
        if session_ids is not None:
            query["_id"] = {"$in": list(session_ids)}
        if user_id is not None:
            query["user_id"] = user_id
        ended_ids = [document["_id"] async for document in self._sessions.find(query, {"_id": 1})]
        await self._sessions.update_many(
            {"_id": {"$in": ended_ids}, "ended_at": None},
            {
                "$set": {"expires_at": until},
                "$currentDate": {"ended_at": True},  # by the database's clock: those of web processes differ
                "$unset": dict.fromkeys(_PERSONAL_FIELDS, ""),
            },
        )
        return ended_ids

    async def list_ended_since(self, since: datetime) -> list[Tombstone]:
        """Return the tombstones of sessions that ended after `since`."""
        documents = self._sessions.find({"ended_at": {"$gt": since}}, {"ended_at": 1, "expires_at": 1})
        return [
            Tombstone(document["_id"], document["ended_at"], document["expires_at"].timestamp())
            for document in await documents.to_list(None)
        ]


def _to_document(session: Session) -> dict[str, Any]:
    return {"_id" if name == "id" else name: getattr(session, name) for name in Session.__slots__}


def _from_document(document: dict[str, Any]) -> Session:
    fields = {name: value for name, value in document.items() if name in Session.__slots__}
    return Session(id=document["_id"], **fields)
