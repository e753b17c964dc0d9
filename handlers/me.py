"""The account of the current user."""

from __future__ import annotations

from handlers import cookies, views
from handlers.base import ApiHandler
from handlers.schemas import CurrentPassword
from videoflix.accounts.rate_limits import LimitedAction


class MeHandler(ApiHandler):
    """GET and DELETE /api/me/."""

    metrics_label = "accounts_me"

    async def get(self) -> None:
        """Respond with the current user."""
        self.respond(views.user_item(await self.services.accounts.get_user(self.identity.user_id)))

    async def delete(self) -> None:
        """Delete the account with all personal data. Requires the password."""
        body = self.parse_body(CurrentPassword)
        user = await self.services.accounts.get_user(self.identity.user_id)
        await self.limit(LimitedAction.LOGIN, user.email)
        await self.services.accounts.delete_own_account(user.id, body.password)
        cookies.clear_session_cookies(self, self.services.settings)
        self.respond(views.detail("Your account was deleted."))


class MySessionsHandler(ApiHandler):
    """GET /api/me/sessions/: the sessions of the current user."""

    metrics_label = "accounts_me"

    async def get(self) -> None:
        """Respond with the sessions, the last active first."""
        sessions = await self.services.accounts.list_sessions(self.identity.user_id)
        self.respond(views.session_list(sessions, self.identity.session_id))


class MySessionHandler(ApiHandler):
    """DELETE /api/me/sessions/<id>/."""

    metrics_label = "accounts_me"

    async def delete(self, session_id: str) -> None:
        """End a session at once."""
        await self.services.accounts.end_session(self.identity.user_id, session_id)
        if session_id == self.identity.session_id:
            cookies.clear_session_cookies(self, self.services.settings)
        self.respond(views.detail("The session has ended."))
