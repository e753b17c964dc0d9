"""The collection of users."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo.errors import DuplicateKeyError

from videoflix.batching import Batcher
from videoflix.errors import Conflict, NotFound
from videoflix.models import User, now

_ADMIN = {"is_admin": True, "is_active": True, "is_disabled": False}
_STEP_DOWN_TIMEOUT = timedelta(seconds=60)  # after which whoever announced a step down is taken for dead
_CONFIRMED_FIELDS = {"is_active": True, "asked_to_confirm_at": None}


_FIELD_NAMES = {"_id": "id", "is_leaving": "is_being_deleted"}  # of a stored document, in the model


class UserStore:
    """Users by id and by address; addresses come stripped and in lower case."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._users = database["users"]
        self._batched_get: Batcher[int, User] = Batcher(partial(self._get_many, "_id"))
        self._batched_get_by_email: Batcher[str, User] = Batcher(partial(self._get_many, "email"))

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await self._users.create_index("email", unique=True)
        await self._users.create_index("asked_to_confirm_at")

    async def add(self, user: User) -> None:
        """Raises Conflict when the address is taken."""
        try:
            await self._users.insert_one(_to_document(user))
        except DuplicateKeyError:
            raise Conflict("This address is taken.") from None

    async def get(self, user_id: int) -> User:
        """Raises NotFound."""
        return await self._batched_get(user_id)

    async def get_by_email(self, email: str) -> User:
        """Raises NotFound."""
        return await self._batched_get_by_email(email)

    async def update(self, user_id: int, **fields: object) -> User:
        """Set these fields; the user as it is then. Raises NotFound."""
        return _from_document(
            await self._users.find_one_and_update({"_id": user_id}, {"$set": fields}, return_document=True)
        )

    async def announce_step_down(self, user_id: int, token: str) -> User:
        """Mark a user who is about to lose rights; until then they count as no admin for anybody else's step down.

        Return the user. Raises NotFound. A later mark replaces this one.
        """
        mark = {"$set": {"stepping_down": {"token": token, "since": now()}}}
        return _from_document(await self._users.find_one_and_update({"_id": user_id}, mark, return_document=True))

    async def step_down(self, user_id: int, token: str, fields: Mapping[str, object]) -> User | None:
        """Set these fields and remove the mark; None when the mark is another one's by now, or gone."""
        changed = await self._users.find_one_and_update(
            {"_id": user_id, "stepping_down.token": token},
            {"$set": dict(fields), "$unset": {"stepping_down": ""}},
            return_document=True,
        )
        return _from_document(changed) if changed else None

    async def cancel_step_down(self, user_id: int, token: str) -> None:
        """Remove the mark and change nothing. Safe to repeat."""
        marked = {"_id": user_id, "stepping_down.token": token}
        await self._users.update_one(marked, {"$unset": {"stepping_down": ""}})

    async def has_staying_admin(self, besides: int) -> bool:
        """Return whether another user is an admin and not about to lose the right.

        Marks that a crash left behind are removed first, which also stops a process that was merely slow.
        """
        left = {"_id": {"$ne": besides}, "stepping_down.since": {"$lt": now() - _STEP_DOWN_TIMEOUT}}
        await self._users.update_many(left, {"$unset": {"stepping_down": ""}})
        staying = {"_id": {"$ne": besides}, **_ADMIN, "stepping_down": None}
        return await self._users.find_one(staying, {"_id": 1}) is not None

    async def replace_hash(self, user_id: int, old_hash: str, new_hash: str) -> None:
        """Exchange the hash of a password that is still the same; nothing when it was changed meanwhile."""
        await self._users.update_one({"_id": user_id, "password_hash": old_hash}, {"$set": {"password_hash": new_hash}})

    async def activate(self, user_id: int) -> User:
        """The address is confirmed. Raises NotFound, also for a user whom an admin disabled."""
        found = await self._users.find_one_and_update(
            {"_id": user_id, "is_disabled": False}, {"$set": _CONFIRMED_FIELDS}, return_document=True
        )
        return _from_document(found)

    async def set_password(self, user_id: int, password_hash: str) -> User:
        """Of whoever reads the mail, so the address is confirmed. Raises NotFound, also for a user who is disabled."""
        found = await self._users.find_one_and_update(
            {"_id": user_id, "is_disabled": False},
            {"$set": {"password_hash": password_hash, **_CONFIRMED_FIELDS}},
            return_document=True,
        )
        return _from_document(found)

    async def update_unconfirmed(self, user_id: int, **fields: object) -> bool:
        """Set these fields; False when the address was confirmed meanwhile, even at this very moment."""
        done = await self._users.update_one({"_id": user_id, "asked_to_confirm_at": {"$ne": None}}, {"$set": fields})
        return done.modified_count == 1

    async def list_unconfirmed(self, asked_before: datetime) -> list[User]:
        """Those who were asked to confirm their address before that, and did not."""
        return [_from_document(document) async for document in self._users.find(_unconfirmed_query(asked_before))]

    async def delete_unconfirmed(self, user_id: int, asked_before: datetime) -> bool:
        """Delete one of them; False when the address was confirmed meanwhile, even at this very moment."""
        done = await self._users.delete_one({"_id": user_id, **_unconfirmed_query(asked_before)})
        return done.deleted_count == 1

    async def list_page(self, search: str, offset: int, limit: int) -> tuple[list[User], int]:
        """Users whose address contains `search`, oldest first, and how many there are in all."""
        query = {"email": {"$regex": re.escape(search.lower())}} if search else {}
        found = self._users.find(query).sort("_id").skip(offset).limit(limit)
        return [_from_document(document) async for document in found], await self._users.count_documents(query)

    async def list_being_deleted(self) -> list[int]:
        """Ids of those whose deletion began."""
        return [document["_id"] async for document in self._users.find({"is_leaving": True}, {"_id": 1})]

    async def delete(self, user_id: int) -> None:
        """Safe to repeat."""
        await self._users.delete_one({"_id": user_id})

    async def filter_existing(self, user_ids: Collection[int]) -> set[int]:
        """Those of the ids that are still in use."""
        found = self._users.find({"_id": {"$in": list(user_ids)}}, {"_id": 1})
        return {document["_id"] async for document in found}

    async def _get_many(self, field: str, values: Sequence[int | str]) -> Sequence[User | Exception]:
        found = await self._users.find({field: {"$in": list(set(values))}}).to_list(None)
        users = {document[field]: _from_document(document) for document in found}
        return [users.get(value) or NotFound() for value in values]

    async def has_admin(self) -> bool:
        """Whether anyone can put films in."""
        return await self._users.find_one(_ADMIN, {"_id": 1}) is not None


def _unconfirmed_query(asked_before: datetime) -> dict[str, Any]:
    return {"asked_to_confirm_at": {"$ne": None, "$lt": asked_before}, "is_active": False, "is_disabled": False}


def _to_document(user: User) -> dict[str, Any]:
    return {
        "_id": user.id,
        "email": user.email,
        "password_hash": user.password_hash,
        "is_active": user.is_active,
        "is_disabled": user.is_disabled,
        "is_admin": user.is_admin,
        "created_at": user.created_at,
        "asked_to_confirm_at": user.asked_to_confirm_at,
    }


def _from_document(document: dict[str, Any] | None) -> User:
    if document is None:
        raise NotFound
    fields = {_FIELD_NAMES.get(name, name): value for name, value in document.items()}
    return User(**{name: value for name, value in fields.items() if name in User.__slots__})
