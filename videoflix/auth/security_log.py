"""Security events under stable names, for whoever watches the log.

The names are those of OWASP's Application Logging Vocabulary where it has one. An event says who (user and session
id), from where, and never a password, a token, a link or an address that somebody typed.
"""

from __future__ import annotations

import logging
from enum import StrEnum

_log = logging.getLogger("videoflix.security")


class SecurityEvent(StrEnum):
    """What can happen to an account."""

    LOGIN_SUCCESS = "authn_login_success"
    LOGIN_FAIL = "authn_login_fail"
    PASSWORD_CHANGE = "authn_password_change"  # noqa: S105  # the name of an event
    PASSWORD_CHANGE_FAIL = "authn_password_change_fail"  # noqa: S105
    PASSWORD_CONTESTED = "authn_password_contested"  # noqa: S105  # ours: two registrations of one address
    TOKEN_REUSE = "authn_token_reuse"  # noqa: S105
    TOKEN_REVOKED = "authn_token_revoked"  # noqa: S105
    TOKEN_DENIED = "authn_token_denied"  # noqa: S105  # ours: a refresh token that opens nothing
    AUTHZ_FAIL = "authz_fail"
    AUTHZ_ADMIN = "authz_admin"
    PERMISSIONS_CHANGED = "privilege_permissions_changed"
    CROSS_SITE_REQUEST = "malicious_cross_site"  # ours: a page elsewhere tried to use a visitor's cookies
    RATE_LIMIT_EXCEEDED = "excess_rate_limit_exceeded"
    SESSION_CREATED = "session_created"
    SESSION_RENEWED = "session_renewed"
    USER_CREATED = "user_created"
    USER_ACTIVATED = "user_activated"  # ours
    USER_DELETED = "user_deleted"


_WARNING_EVENTS = {
    SecurityEvent.TOKEN_REUSE,
    SecurityEvent.CROSS_SITE_REQUEST,
    SecurityEvent.RATE_LIMIT_EXCEEDED,
    SecurityEvent.AUTHZ_FAIL,
    SecurityEvent.LOGIN_FAIL,
    SecurityEvent.TOKEN_DENIED,
}


def log_event(event: SecurityEvent, **fields: object) -> None:
    """One line: the name, then the facts. Give ids and client addresses only."""
    said = [event.value, *(f"{name}={value}" for name, value in fields.items() if value is not None)]
    _log.log(logging.WARNING if event in _WARNING_EVENTS else logging.INFO, "%s", " ".join(said))
