"""The cookies that the service sets.

`access_token` and `refresh_token` are hidden from scripts; `csrftoken` is read by existing pages; `known_device` proves
that a browser has logged in before, and gives no access (see `videoflix.accounts.rate_limits`).
"""

from __future__ import annotations

import secrets

from tornado.web import RequestHandler

from handlers.tornado_internals.cookies import register_partitioned, set_partitioned
from videoflix.auth.sessions import TokenPair
from videoflix.settings import Settings

ACCESS, REFRESH, CSRF, DEVICE = "access_token", "refresh_token", "csrftoken", "known_device"
_DEVICE_MAX_AGE_S = 400 * 24 * 3600  # the longest that browsers keep a cookie (RFC 6265bis, section 5.5)

register_partitioned()


def set_session_cookies(handler: RequestHandler, settings: Settings, tokens: TokenPair) -> None:
    """Set both tokens and the CSRF cookie."""
    set_access_cookie(handler, settings, tokens.access_token)
    _set_cookie(handler, settings, REFRESH, tokens.refresh_token, settings.refresh_token_days * 86400)
    set_csrf_cookie(handler, settings)


def set_access_cookie(handler: RequestHandler, settings: Settings, token: str) -> None:
    """Set the access token."""
    _set_cookie(handler, settings, ACCESS, token, settings.access_token_minutes * 60)


def clear_session_cookies(handler: RequestHandler, settings: Settings) -> None:
    """Delete both tokens. Browsers delete a cookie only if it is set with the same attributes."""
    for name in (ACCESS, REFRESH):
        _set_cookie(handler, settings, name, "", 0)


def set_device_cookie(handler: RequestHandler, settings: Settings, token: str) -> None:
    """Set the token by which this browser proves later that it has logged in before. It outlives the session."""
    _set_cookie(handler, settings, DEVICE, token, _DEVICE_MAX_AGE_S)


def set_csrf_cookie(handler: RequestHandler, settings: Settings) -> None:
    """Set the cookie without which existing pages send no logout. The service ignores its value.

    With COOKIE_DOMAIN, pages on other hosts of that domain can read it.
    """
    handler.set_cookie(
        CSRF,
        secrets.token_urlsafe(24),
        domain=settings.cookie_domain or None,
        path="/",
        samesite="Lax",
        secure=settings.has_secure_cookies,
    )


def _set_cookie(handler: RequestHandler, settings: Settings, name: str, value: str, max_age_s: float) -> None:
    handler.set_cookie(
        name,
        value,
        domain=settings.cookie_domain or None,
        path="/",
        max_age=str(int(max_age_s)),  # type: ignore[arg-type]  # a string, because Tornado omits 0
        httponly=True,
        secure=_is_secure_required(settings),
        samesite=settings.cookie_samesite,
    )
    if settings.cookie_partitioned:
        set_partitioned(handler, name)


def _is_secure_required(settings: Settings) -> bool:
    """Return whether `Secure` is set: browsers require it for `SameSite=None` and `Partitioned`."""
    return settings.has_secure_cookies or settings.cookie_samesite == "None" or settings.cookie_partitioned
