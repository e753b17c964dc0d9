"""The users, as admins manage them."""

from __future__ import annotations

from handlers import views
from handlers.admin.base import AdminHandler
from handlers.schemas import UserPatch, UsersQuery


class UsersHandler(AdminHandler):
    """GET /api/admin/users/, filtered by `search` and paged by `limit` and `offset`."""

    metrics_label = "accounts_admin"

    async def get(self) -> None:
        """Respond with a page of users, oldest first, and the number of users on all pages."""
        query = self.parse_query(UsersQuery)
        users, count = await self.services.user_admin.list_page(query.search, query.offset, query.limit)
        self.respond(views.user_page(users, count))


class UserHandler(AdminHandler):
    """GET, PATCH and DELETE /api/admin/users/<id>/."""

    metrics_label = "accounts_admin"

    async def get(self, user_id: str) -> None:
        """Respond with the user."""
        self.respond(views.admin_user(await self.services.user_admin.get(int(user_id))))

    async def patch(self, user_id: str) -> None:
        """Enable or disable the user, grant or revoke admin rights; end all sessions of the user."""
        rights = self.parse_body(UserPatch).model_dump(exclude_none=True)
        user = await self.services.user_admin.update(self.identity.user_id, int(user_id), **rights)
        self.respond(views.admin_user(user))

    async def delete(self, user_id: str) -> None:
        """Delete the user with all personal data."""
        await self.services.user_admin.delete(self.identity.user_id, int(user_id))
        self.respond(views.detail("User deleted."))
