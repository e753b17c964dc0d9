"""What signed-in users see and do of their own account."""

from __future__ import annotations

from handlers import cookies
from handlers.base import ApiHandler
from handlers.schemas import CurrentPassword
from videoflix.accounts.rate_limits import LimitedAction
from videoflix.models import isoformat


class MeHandler(ApiHandler):
    """GET and DELETE /api/me/."""

    metrics_label = "accounts_me"

    async def get(self) -> None:
        """Who is signed in."""
        user = await self.services.accounts.get_user(self.identity.user_id)
        self.respond(
            {
                "id": user.id,
                "email": user.email,
                "is_admin": user.is_admin,
                "created_at": isoformat(user.created_at),
            }
        )

    async def delete(self) -> None:
        """Delete the account and all it holds, for whoever knows its password."""
        given = self.parse_body(CurrentPassword)
        user = await self.services.accounts.get_user(self.identity.user_id)
        await self.limit(LimitedAction.LOGIN, user.email)
        await self.services.accounts.delete_own_account(user.id, given.password)
        cookies.clear_session_cookies(self, self.services.settings)
        self.respond({"detail": "Your account was deleted."})


class MySessionsHandler(ApiHandler):
    """GET /api/me/sessions/: where one is signed in."""

    metrics_label = "accounts_me"

    async def get(self) -> None:
        """The one that was seen last first."""
        found = await self.services.accounts.list_sessions(self.identity.user_id)
        self.respond(
            {
                "sessions": [
                    {
                        "id": session.id,
                        "device": session.device,
                        "address": session.address,
                        "created_at": isoformat(session.created_at),
                        "last_seen": isoformat(session.last_seen),
                        "is_current": session.id == self.identity.session_id,
                    }
                    for session in found
                ]
            }
        )


class MySessionHandler(ApiHandler):
    """DELETE /api/me/sessions/<id>/."""

    metrics_label = "accounts_me"

    async def delete(self, session_id: str) -> None:
        """Sign one device out, at once."""
        await self.services.accounts.end_session(self.identity.user_id, session_id)
        if session_id == self.identity.session_id:
            cookies.clear_session_cookies(self, self.services.settings)
        self.respond({"detail": "The session has ended."})
