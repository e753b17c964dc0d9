"""Registration, sign-in and passwords: what people do before they are signed in."""

from __future__ import annotations

from handlers import cookies
from handlers.base import ApiHandler
from handlers.schemas import Credentials, EmailOnly, PasswordReset, Registration
from videoflix.accounts.rate_limits import LimitedAction
from videoflix.accounts.service import generate_placeholder_token
from videoflix.errors import BadRequest
from videoflix.models import User

_RESEND_MESSAGE = "If this address waits for its confirmation, an email has been sent to it."


class PublicHandler(ApiHandler):
    """Never looks at the access cookie: a stale one must not stop anyone from signing in."""

    metrics_label = "accounts"
    is_public = True

    async def welcome(self, user: User) -> None:
        """The client has proved to be the user's: what strangers do to the account does not hold it up any more."""
        throttle, device = self.services.rate_limiter, self.get_cookie(cookies.DEVICE) or ""
        await throttle.reset(LimitedAction.LOGIN, self.client.address, user.email, device)
        cookies.give_device(self, self.services.settings, throttle.device_token(user.email, device))


class RegisterHandler(PublicHandler):
    """POST /api/register/: an inactive account, and a mail that confirms its address."""

    async def post(self) -> None:
        """201 with the user; the token is what existing pages want, and opens nothing."""
        given = self.parse_body(Registration)
        await self.limit(LimitedAction.REGISTER, given.email)
        user = await self.services.accounts.register(given.email, given.password)
        self.respond({"user": {"id": user.id, "email": user.email}, "token": generate_placeholder_token()}, 201)


class ActivateHandler(PublicHandler):
    """GET /api/activate/<uid>/<token>/ and /api/activate/<token>/."""

    async def get(self, token: str, uid: str | None = None) -> None:
        """200, again as well; 400 for every link that is no good."""
        await self.limit(LimitedAction.CONFIRM)
        await self.services.accounts.activate(token, uid)
        self.respond({"message": "Account successfully activated."})


class ResendActivationHandler(PublicHandler):
    """POST /api/resend_activation/."""

    async def post(self) -> None:
        """200 with the same words for every address."""
        given = self.parse_body(EmailOnly)
        await self.limit(LimitedAction.RESEND, given.email)
        await self.services.accounts.resend_activation(given.email)
        self.respond({"detail": _RESEND_MESSAGE})


class LoginHandler(PublicHandler):
    """POST /api/login/: exchange credentials for the session cookies."""

    is_login = True

    async def post(self) -> None:
        """200 with the user; 400 with the same words whatever was wrong."""
        given = self.parse_body(Credentials)
        await self.limit(LimitedAction.LOGIN, given.email)
        signed_in = await self.services.accounts.log_in(given.email, given.password, self.client)
        await self.welcome(signed_in.user)
        cookies.set_session_cookies(self, self.services.settings, signed_in.tokens)
        user = signed_in.user
        self.respond({"detail": "Login successful", "user": {"id": user.id, "username": user.email}})


class LogoutHandler(PublicHandler):
    """POST /api/logout/: end the session of the refresh cookie."""

    async def post(self) -> None:
        """200 and no cookies any more; 400 when there was none."""
        token = self.get_cookie(cookies.REFRESH)
        cookies.clear_session_cookies(self, self.services.settings)
        if not token:
            raise BadRequest("Refresh token is missing.")
        await self.services.accounts.log_out(token, self.client)
        self.respond(
            {"detail": "Logout successful! All tokens will be deleted. Refresh token is now invalid."},
        )


class RefreshHandler(PublicHandler):
    """POST /api/token/refresh/: the next tokens of the session of the refresh cookie."""

    async def post(self) -> None:
        """200 with new cookies, and not with a token; 400 without a cookie, 401 with one that opens nothing."""
        token = self.get_cookie(cookies.REFRESH)
        if not token:
            raise BadRequest("Refresh token is missing.")
        await self.limit(LimitedAction.REFRESH)
        cookies.set_session_cookies(
            self, self.services.settings, await self.services.accounts.refresh(token, self.client)
        )
        self.respond({"detail": "Token refreshed", "access": "new_access_token"})


class PasswordResetHandler(PublicHandler):
    """POST /api/password_reset/."""

    async def post(self) -> None:
        """200 with the same words for every address."""
        given = self.parse_body(EmailOnly)
        await self.limit(LimitedAction.RESET, given.email)
        await self.services.accounts.request_password_reset(given.email)
        self.respond({"detail": "An email has been sent to reset your password."})


class PasswordConfirmHandler(PublicHandler):
    """POST /api/password_confirm/<uid>/<token>/ and /api/password_confirm/<token>/."""

    async def post(self, token: str, uid: str | None = None) -> None:
        """200, and every session of the user ends."""
        given = self.parse_body(PasswordReset)
        await self.limit(LimitedAction.CONFIRM)
        await self.welcome(await self.services.accounts.reset_password(token, uid, given.new_password))
        self.respond({"detail": "Your Password has been successfully reset."})


class CsrfHandler(PublicHandler):
    """GET /api/csrf/."""

    def get(self) -> None:
        """The cookie that existing pages look for."""
        cookies.set_csrf_cookie(self, self.services.settings)
        self.respond({"detail": "CSRF cookie set."})
