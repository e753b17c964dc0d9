"""Copies all documents of one database into another."""

from __future__ import annotations

from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase

from videoflix.errors import Conflict

Database = AsyncIOMotorDatabase[dict[str, Any]]

_BATCH_SIZE = 500  # documents


async def copy_all_documents(source: Database, target: Database) -> int:
    """Copy all documents and return their number. Indexes are created when a web process starts.

    Raises Conflict if the target is not empty, because it may be in use.
    """
    if await target.list_collection_names():
        raise Conflict(f"The database {target.name} is not empty: drop it, or name another one with MONGODB_DB.")
    return sum([await _copy_collection(source, target, name) for name in await source.list_collection_names()])


async def _copy_collection(source: Database, target: Database, name: str) -> int:
    cursor, count = source[name].find(), 0
    while batch := await cursor.to_list(_BATCH_SIZE):
        await target[name].insert_many(batch)
        count += len(batch)
    return count
