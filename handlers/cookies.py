"""The cookies: both tokens, which no script can read, `csrftoken`, which existing pages read, and `known_device`, which
proves that a browser has signed in before and opens nothing (see `videoflix.accounts.throttle`).
"""

from __future__ import annotations

import secrets
from http.cookies import Morsel

from tornado.web import RequestHandler

from videoflix.auth.sessions import TokenPair
from videoflix.settings import Settings

ACCESS, REFRESH, CSRF, DEVICE = "access_token", "refresh_token", "csrftoken", "known_device"
_DEVICE_S = 400 * 24 * 3600  # browsers keep no cookie for longer

# Python knows this attribute (CHIPS) from 3.14 on.
Morsel._reserved.setdefault("partitioned", "Partitioned")  # type: ignore[attr-defined]
Morsel._flags.add("partitioned")  # type: ignore[attr-defined]


def set_session_cookies(handler: RequestHandler, settings: Settings, tokens: TokenPair) -> None:
    """Give the client what keeps it signed in."""
    set_access_cookie(handler, settings, tokens.access_token)
    _set_cookie(handler, settings, REFRESH, tokens.refresh_token, settings.refresh_token_days * 86400)
    set_csrf_cookie(handler, settings)


def set_access_cookie(handler: RequestHandler, settings: Settings, token: str) -> None:
    """A fresh access token."""
    _set_cookie(handler, settings, ACCESS, token, settings.access_token_minutes * 60)


def clear_session_cookies(handler: RequestHandler, settings: Settings) -> None:
    """Take both tokens away; a cookie goes only when its attributes are the same."""
    for name in (ACCESS, REFRESH):
        _set_cookie(handler, settings, name, "", 0)


def give_device(handler: RequestHandler, settings: Settings, token: str) -> None:
    """Let this browser prove later that it has signed in before; it stays when the session ends."""
    _set_cookie(handler, settings, DEVICE, token, _DEVICE_S)


def set_csrf_cookie(handler: RequestHandler, settings: Settings) -> None:
    """Existing pages send no logout without it; nothing here depends on its value.

    Its domain lets a page read it that has another host name below the same one.
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
        max_age=str(int(max_age_s)),  # type: ignore[arg-type]  # a text, for Tornado leaves a 0 out
        httponly=True,
        secure=_is_secure_required(settings),
        samesite=settings.cookie_samesite,
    )
    if settings.cookie_partitioned:  # Tornado's own arguments do not know it
        handler._new_cookie[name]["partitioned"] = True


def _is_secure_required(settings: Settings) -> bool:
    """Browsers take `SameSite=None` and `Partitioned` with it only."""
    return settings.has_secure_cookies or settings.cookie_samesite == "None" or settings.cookie_partitioned
