"""What admins do with users."""

from __future__ import annotations

from collections.abc import Sequence

from videoflix.accounts.last_admin import take_rights
from videoflix.accounts.service import LEAVING, Accounts
from videoflix.auth.security_log import SecurityEvent, log_event
from videoflix.errors import Conflict
from videoflix.models import User
from videoflix.stores.users import UserStore

_OWN_ACCOUNT_MESSAGE = "You cannot take your own rights away: let another admin do it."
_LAST_ADMIN = "This user is the last admin: make an admin of somebody else first."
_HARMLESS = {"is_disabled": False, "is_admin": True, "is_active": True}  # what only gives rights


class UserAdmin:
    """Admins find, disable, promote and delete users."""

    def __init__(self, users: UserStore, accounts: Accounts) -> None:
        self._users = users
        self._accounts = accounts

    async def list_page(self, search: str, offset: int, limit: int) -> tuple[Sequence[User], int]:
        """Users whose address contains `search`, oldest first, and how many there are in all."""
        return await self._users.list_page(search, offset, limit)

    async def get(self, user_id: int) -> User:
        """Raises NotFound."""
        return await self._users.get(user_id)

    async def update(self, admin_id: int, user_id: int, **rights: bool) -> User:
        """Set `is_disabled`, `is_admin` or `is_active`. Raises NotFound, and Conflict for oneself or the last admin.

        The user's sessions end, for their access tokens say what was true until now. What an admin has decided about
        stays, also when its address is never confirmed.
        """
        if admin_id == user_id:
            raise Conflict(_OWN_ACCOUNT_MESSAGE)
        before = await self._users.get(user_id)
        changed = {name: value for name, value in rights.items() if getattr(before, name) != value}
        if not changed:
            return before
        fields = {"asked_to_confirm_at": None, **changed}
        # Before as well: had this failed afterwards, nobody would do it again.
        await self._accounts.revoke_access(user_id)
        if changed.items() <= _HARMLESS.items():
            user = await self._users.update(user_id, **fields)
        else:
            user = await take_rights(self._users, user_id, fields, _LAST_ADMIN)
        await self._accounts.revoke_access(user_id)
        log_event(SecurityEvent.PERMISSIONS_CHANGED, by=admin_id, user=user_id, **changed)
        return user

    async def delete(self, admin_id: int, user_id: int) -> None:
        """Delete a user and all that is held of theirs. Raises NotFound, and Conflict for oneself or the last admin."""
        if admin_id == user_id:
            raise Conflict(_OWN_ACCOUNT_MESSAGE)
        await take_rights(self._users, user_id, LEAVING, _LAST_ADMIN)
        await self._accounts.delete(user_id)
        log_event(SecurityEvent.AUTHZ_ADMIN, by=admin_id, deleted=user_id)
