"""Sign-in and sessions."""

from __future__ import annotations

import secrets

from handlers.base import ApiHandler
from handlers.bodies import Credentials
from videoflix.accounts.service import SignedIn


class SessionHandler(ApiHandler):
    """What opens and closes sessions: the only place that writes cookies."""

    public = True

    def open_session(self, signed_in: SignedIn) -> None:
        """Set the cookies of a session."""
        settings = self.services.settings
        self._set("access_token", signed_in.access_token, settings.access_token_minutes * 60)
        self._set("refresh_token", signed_in.refresh_token, settings.refresh_token_days * 86400)
        self.set_cookie("csrftoken", secrets.token_urlsafe(24), path="/", samesite="Lax")

    def _set(self, name: str, value: str, lifetime: float) -> None:
        settings = self.services.settings
        self.set_cookie(
            name,
            value,
            domain=settings.cookie_domain or None,
            path="/",
            max_age=int(lifetime),
            httponly=True,
            secure=settings.secure_cookies,
            samesite=settings.cookie_samesite,
        )


class LoginHandler(SessionHandler):
    """POST /api/login/: exchange credentials for the session cookies."""

    async def post(self) -> None:
        """200 with the user; 400 with the same words whatever was wrong."""
        given = self.body_as(Credentials)
        signed_in = await self.services.accounts.log_in(given.email, given.password)
        self.open_session(signed_in)
        user = signed_in.user
        self.answer({"detail": "Login successful", "user": {"id": user.id, "username": user.email}})
