"""The collection of users."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypedDict, Unpack

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo.errors import DuplicateKeyError

from videoflix.batching import Batcher
from videoflix.errors import Conflict, NotFound
from videoflix.models import User, now

_ADMIN_QUERY = {"is_admin": True, "is_active": True, "is_disabled": False}
_STEP_DOWN_TIMEOUT = timedelta(seconds=60)  # after which the process that announced a step-down is presumed dead
_CONFIRMED_FIELDS = {"is_active": True, "asked_to_confirm_at": None}
_MODEL_NAMES = {"_id": "id", "is_leaving": "is_being_deleted"}  # of stored fields that the model calls otherwise


class UserFields(TypedDict, total=False):
    """Stored fields of a user that change."""

    password_hash: str
    is_active: bool
    is_disabled: bool
    is_admin: bool
    is_leaving: bool  # the deletion of the account has begun
    asked_to_confirm_at: datetime | None


class UserStore:
    """Users by id and by address; addresses are in normal form (see `email_address`)."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._users = database["users"]
        self._batched_get: Batcher[int, User] = Batcher(partial(self._get_many, "_id"))
        self._batched_get_by_email: Batcher[str, User] = Batcher(partial(self._get_many, "email"))

    async def create_indexes(self) -> None:
        """Create the indexes of the collection. Idempotent."""
        await self._users.create_index("email", unique=True)
        await self._users.create_index("asked_to_confirm_at")

    async def add(self, user: User) -> None:
        """Add a user. Raises Conflict if another one has the address."""
        try:
            await self._users.insert_one(_to_document(user))
        except DuplicateKeyError:
            raise Conflict("This address is taken.") from None

    async def get(self, user_id: int) -> User:
        """Return a user. Raises NotFound."""
        return await self._batched_get(user_id)

    async def get_by_email(self, email: str) -> User:
        """Return the user of an address. Raises NotFound."""
        return await self._batched_get_by_email(email)

    async def update(self, user_id: int, **fields: Unpack[UserFields]) -> User:
        """Set these fields and return the changed user. Raises NotFound."""
        return _from_document(
            await self._users.find_one_and_update({"_id": user_id}, {"$set": fields}, return_document=True)
        )

    async def announce_step_down(self, user_id: int, token: str) -> User:
        """Mark a user who is about to lose rights; while marked, they do not count as an admin who stays.

        Replaces an earlier mark. Return the user. Raises NotFound.
        """
        mark = {"$set": {"stepping_down": {"token": token, "since": now()}}}
        return _from_document(await self._users.find_one_and_update({"_id": user_id}, mark, return_document=True))

    async def step_down(self, user_id: int, token: str, fields: UserFields) -> User | None:
        """Set these fields and remove the mark. Return None if the mark with this token is gone or was replaced."""
        document = await self._users.find_one_and_update(
            {"_id": user_id, "stepping_down.token": token},
            {"$set": fields, "$unset": {"stepping_down": ""}},
            return_document=True,
        )
        return _from_document(document) if document else None

    async def cancel_step_down(self, user_id: int, token: str) -> None:
        """Remove the mark with this token and change nothing else. Idempotent."""
        marked = {"_id": user_id, "stepping_down.token": token}
        await self._users.update_one(marked, {"$unset": {"stepping_down": ""}})

    async def has_staying_admin(self, besides: int) -> bool:
        """Return whether another user is an admin and not about to lose the right.

        Marks that a crash left behind are removed first, which also stops a process that was merely slow.
        """
        stale = {"_id": {"$ne": besides}, "stepping_down.since": {"$lt": now() - _STEP_DOWN_TIMEOUT}}
        await self._users.update_many(stale, {"$unset": {"stepping_down": ""}})
        staying = {"_id": {"$ne": besides}, **_ADMIN_QUERY, "stepping_down": None}
        return await self._users.find_one(staying, {"_id": 1}) is not None

    async def replace_hash(self, user_id: int, old_hash: str, new_hash: str) -> None:
        """Replace the hash of an unchanged password; do nothing if the password was changed meanwhile."""
        await self._users.update_one({"_id": user_id, "password_hash": old_hash}, {"$set": {"password_hash": new_hash}})

    async def activate(self, user_id: int) -> User:
        """Confirm a user's address. Raises NotFound, also if an admin disabled the user."""
        return await self._update_enabled(user_id, _CONFIRMED_FIELDS)

    async def set_password(self, user_id: int, password_hash: str) -> User:
        """Set a password by a link in a mail, which confirms the address. Raises NotFound, also if disabled."""
        return await self._update_enabled(user_id, {"password_hash": password_hash, **_CONFIRMED_FIELDS})

    async def _update_enabled(self, user_id: int, fields: dict[str, Any]) -> User:
        enabled = {"_id": user_id, "is_disabled": False}
        return _from_document(await self._users.find_one_and_update(enabled, {"$set": fields}, return_document=True))

    async def update_unconfirmed(self, user_id: int, **fields: Unpack[UserFields]) -> bool:
        """Set these fields. Return False if the address has been confirmed meanwhile; the check is atomic."""
        unconfirmed = {"_id": user_id, "asked_to_confirm_at": {"$ne": None}}
        return (await self._users.update_one(unconfirmed, {"$set": fields})).modified_count == 1

    async def list_unconfirmed(self, asked_before: datetime) -> list[User]:
        """Return the users who were last asked before then to confirm their address, and have not."""
        return [_from_document(document) async for document in self._users.find(_unconfirmed_query(asked_before))]

    async def delete_unconfirmed(self, user_id: int, asked_before: datetime) -> bool:
        """Delete such a user. Return False if the address has been confirmed meanwhile; the check is atomic."""
        result = await self._users.delete_one({"_id": user_id, **_unconfirmed_query(asked_before)})
        return result.deleted_count == 1

    async def list_page(self, search: str, offset: int, limit: int) -> tuple[list[User], int]:
        """Return a page of the users whose address contains `search`, oldest first, and the number of all of them."""
        query = {"email": {"$regex": re.escape(search.lower())}} if search else {}
        page = self._users.find(query).sort("_id").skip(offset).limit(limit)
        return [_from_document(document) async for document in page], await self._users.count_documents(query)

    async def list_being_deleted(self) -> list[int]:
        """Return the ids of users whose deletion has begun."""
        return [document["_id"] async for document in self._users.find({"is_leaving": True}, {"_id": 1})]

    async def delete(self, user_id: int) -> None:
        """Delete a user. Idempotent."""
        await self._users.delete_one({"_id": user_id})

    async def filter_existing(self, user_ids: Collection[int]) -> set[int]:
        """Return those of the ids that belong to a user."""
        documents = self._users.find({"_id": {"$in": list(user_ids)}}, {"_id": 1})
        return {document["_id"] async for document in documents}

    async def has_admin(self) -> bool:
        """Return whether there is an admin who can log in."""
        return await self._users.find_one(_ADMIN_QUERY, {"_id": 1}) is not None

    async def _get_many(self, field: str, values: Sequence[int | str]) -> Sequence[User | Exception]:
        documents = await self._users.find({field: {"$in": list(set(values))}}).to_list(None)
        users = {document[field]: _from_document(document) for document in documents}
        return [users.get(value) or NotFound() for value in values]


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
    fields = {_MODEL_NAMES.get(name, name): value for name, value in document.items()}
    return User(**{name: value for name, value in fields.items() if name in User.__slots__})
