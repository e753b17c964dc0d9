"""Registration, login and password reset: the endpoints that need no session."""

from __future__ import annotations

import secrets

from handlers import cookies, views
from handlers.base import ApiHandler
from handlers.schemas import Credentials, EmailOnly, PasswordReset, Registration
from videoflix.accounts.rate_limits import LimitedAction
from videoflix.errors import BadRequest
from videoflix.models import User

_PLACEHOLDER_TOKEN_BYTES = 24
_RESEND_MESSAGE = "If this address is waiting for confirmation, an email has been sent to it."


class PublicHandler(ApiHandler):
    """An endpoint that ignores the access cookie: a stale cookie must not prevent a login."""

    metrics_label = "accounts"
    is_public = True

    async def trust_client(self, user: User) -> None:
        """Remember this browser as a known device of the user, and reset its login limits.

        From then on, failed logins that others make with the user's address no longer block this browser.
        """
        limiter, device = self.services.rate_limiter, self.get_cookie(cookies.DEVICE) or ""
        await limiter.reset(LimitedAction.LOGIN, self.client.address, user.email, device)
        cookies.set_device_cookie(self, self.services.settings, limiter.device_token(user.email, device))


class RegisterHandler(PublicHandler):
    """POST /api/register/: create an inactive account and send an activation mail."""

    async def post(self) -> None:
        """Respond with 201 and the user. The token has no power: existing pages expect one."""
        body = self.parse_body(Registration)
        await self.limit(LimitedAction.REGISTER, body.email)
        user = await self.services.accounts.register(body.email, body.password)
        self.respond(views.registration_result(user, _generate_placeholder_token()), 201)


class ActivateHandler(PublicHandler):
    """GET /api/activate/<uid>/<token>/ and /api/activate/<token>/."""

    async def get(self, token: str, uid: str | None = None) -> None:
        """Activate the account, with 200 also if it is active already. Any invalid link is 400."""
        await self.limit(LimitedAction.CONFIRM)
        await self.services.accounts.activate(token, uid)
        self.respond(views.message("Account successfully activated."))


class ResendActivationHandler(PublicHandler):
    """POST /api/resend_activation/."""

    async def post(self) -> None:
        """Respond with the same sentence for every address, so as not to reveal which have an account."""
        body = self.parse_body(EmailOnly)
        await self.limit(LimitedAction.RESEND, body.email)
        await self.services.accounts.resend_activation(body.email)
        self.respond(views.detail(_RESEND_MESSAGE))


class LoginHandler(PublicHandler):
    """POST /api/login/: exchange credentials for the session cookies."""

    opens_session = True

    async def post(self) -> None:
        """Respond with the user. Every failed login is 400 with the same sentence, whatever the reason."""
        body = self.parse_body(Credentials)
        await self.limit(LimitedAction.LOGIN, body.email)
        login = await self.services.accounts.log_in(body.email, body.password, self.client)
        await self.trust_client(login.user)
        cookies.set_session_cookies(self, self.services.settings, login.tokens)
        self.respond(views.login_result(login.user))


class LogoutHandler(PublicHandler):
    """POST /api/logout/: end the session of the refresh cookie."""

    async def post(self) -> None:
        """End the session and delete the cookies. Without a refresh cookie, respond with 400."""
        token = self.get_cookie(cookies.REFRESH)
        cookies.clear_session_cookies(self, self.services.settings)
        if not token:
            raise BadRequest("Refresh token is missing.")
        await self.services.accounts.log_out(token, self.client)
        self.respond(views.detail("Logout successful! All tokens will be deleted. Refresh token is now invalid."))


class RefreshHandler(PublicHandler):
    """POST /api/token/refresh/: exchange the refresh cookie for new tokens of the same session."""

    async def post(self) -> None:
        """Set new cookies. Without a refresh cookie, respond with 400; with an invalid one, with 401."""
        token = self.get_cookie(cookies.REFRESH)
        if not token:
            raise BadRequest("Refresh token is missing.")
        await self.limit(LimitedAction.REFRESH)
        cookies.set_session_cookies(
            self, self.services.settings, await self.services.accounts.refresh(token, self.client)
        )
        self.respond(views.refresh_result())


class PasswordResetHandler(PublicHandler):
    """POST /api/password_reset/."""

    async def post(self) -> None:
        """Respond with the same sentence for every address, so as not to reveal which have an account."""
        body = self.parse_body(EmailOnly)
        await self.limit(LimitedAction.RESET, body.email)
        await self.services.accounts.request_password_reset(body.email)
        self.respond(views.detail("An email has been sent to reset your password."))


class PasswordConfirmHandler(PublicHandler):
    """POST /api/password_confirm/<uid>/<token>/ and /api/password_confirm/<token>/."""

    async def post(self, token: str, uid: str | None = None) -> None:
        """Set a new password and end all sessions of the user."""
        body = self.parse_body(PasswordReset)
        await self.limit(LimitedAction.CONFIRM)
        await self.trust_client(await self.services.accounts.reset_password(token, uid, body.new_password))
        self.respond(views.detail("Your Password has been successfully reset."))


class CsrfHandler(PublicHandler):
    """GET /api/csrf/."""

    def get(self) -> None:
        """Set the cookie that existing pages look for."""
        cookies.set_csrf_cookie(self, self.services.settings)
        self.respond(views.detail("CSRF cookie set."))


def _generate_placeholder_token() -> str:
    """Return the `token` of a registration's response: existing pages expect one, but it gives access to nothing."""
    return secrets.token_urlsafe(_PLACEHOLDER_TOKEN_BYTES)
