"""User administration: what admins may do with the accounts of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict, Unpack, cast

from videoflix.accounts.last_admin import update_unless_last_admin
from videoflix.accounts.service import BEING_DELETED, Accounts
from videoflix.auth.security_log import SecurityEvent, log_event
from videoflix.errors import Conflict
from videoflix.models import User
from videoflix.stores.users import UserStore

_OWN_ACCOUNT_MESSAGE = "You cannot take away your own rights. Ask another admin to do it."
_LAST_ADMIN_MESSAGE = "This user is the last admin. Make another user an admin first."


class UserRights(TypedDict, total=False):
    """The fields of a user that admins may change."""

    is_disabled: bool
    is_admin: bool
    is_active: bool


_GRANTS: UserRights = {"is_disabled": False, "is_admin": True, "is_active": True}  # the values that only give rights


class UserAdmin:
    """Finds, disables, promotes and deletes users."""

    def __init__(self, users: UserStore, accounts: Accounts) -> None:
        self._users = users
        self._accounts = accounts

    async def list_page(self, search: str, offset: int, limit: int) -> tuple[Sequence[User], int]:
        """Return a page of the users whose address contains `search`, oldest first, and the number of all of them."""
        return await self._users.list_page(search, offset, limit)

    async def get(self, user_id: int) -> User:
        """Return a user. Raises NotFound."""
        return await self._users.get(user_id)

    async def update(self, admin_id: int, user_id: int, **rights: Unpack[UserRights]) -> User:
        """Change a user's rights and return the user.

        Raises NotFound, and Conflict for the admin's own account or the last admin.

        The user's sessions end, because their access tokens state the rights of before. The account does not count as
        unconfirmed any more: one that an admin has changed is kept.
        """
        if admin_id == user_id:
            raise Conflict(_OWN_ACCOUNT_MESSAGE)
        user = await self._users.get(user_id)
        changes = cast(UserRights, {name: value for name, value in rights.items() if getattr(user, name) != value})
        if not changes:
            return user
        # Revoke before the change as well: if it failed afterwards, a second call would find nothing to change.
        await self._accounts.revoke_access(user_id)
        if changes.items() <= _GRANTS.items():
            user = await self._users.update(user_id, asked_to_confirm_at=None, **changes)
        else:
            user = await update_unless_last_admin(
                self._users, user_id, _LAST_ADMIN_MESSAGE, asked_to_confirm_at=None, **changes
            )
        await self._accounts.revoke_access(user_id)
        log_event(SecurityEvent.PERMISSIONS_CHANGED, admin_id=admin_id, user_id=user_id, **changes)
        return user

    async def delete(self, admin_id: int, user_id: int) -> None:
        """Delete a user and all data of theirs.

        Raises NotFound, and Conflict for the admin's own account or the last admin.
        """
        if admin_id == user_id:
            raise Conflict(_OWN_ACCOUNT_MESSAGE)
        await update_unless_last_admin(self._users, user_id, _LAST_ADMIN_MESSAGE, **BEING_DELETED)
        await self._accounts.delete(user_id)
        log_event(SecurityEvent.AUTHZ_ADMIN, action="delete_user", admin_id=admin_id, user_id=user_id)
