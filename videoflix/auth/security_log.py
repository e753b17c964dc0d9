"""Security events under stable names, for log monitoring.

The names are those of OWASP's Application Logging Vocabulary where it has one. The fields say who (ids of user and
session) and from where (the client's address). They never hold a password, a token, a link or a typed address.
"""

from __future__ import annotations

from enum import StrEnum

import structlog

_log = structlog.get_logger("videoflix.security")


class SecurityEvent(StrEnum):
    """The names of the events."""

    LOGIN_SUCCESS = "authn_login_success"
    LOGIN_FAIL = "authn_login_fail"
    PASSWORD_CHANGE = "authn_password_change"  # noqa: S105  # the name of an event
    PASSWORD_CHANGE_FAIL = "authn_password_change_fail"  # noqa: S105
    PASSWORD_CONTESTED = "authn_password_contested"  # noqa: S105  # not OWASP's: two registrations of one address
    TOKEN_REUSE = "authn_token_reuse"  # noqa: S105
    TOKEN_REVOKED = "authn_token_revoked"  # noqa: S105
    TOKEN_DENIED = "authn_token_denied"  # noqa: S105  # not OWASP's: a refresh token that is not valid
    AUTHZ_FAIL = "authz_fail"
    AUTHZ_ADMIN = "authz_admin"
    PERMISSIONS_CHANGED = "privilege_permissions_changed"
    CROSS_SITE_REQUEST = "malicious_cross_site"  # not OWASP's: another site tried to use a visitor's cookies
    RATE_LIMIT_EXCEEDED = "excess_rate_limit_exceeded"
    SESSION_CREATED = "session_created"
    SESSION_RENEWED = "session_renewed"
    USER_CREATED = "user_created"
    USER_ACTIVATED = "user_activated"  # not OWASP's
    USER_DELETED = "user_deleted"


_WARNING_EVENTS = {
    SecurityEvent.TOKEN_REUSE,
    SecurityEvent.CROSS_SITE_REQUEST,
    SecurityEvent.RATE_LIMIT_EXCEEDED,
    SecurityEvent.AUTHZ_FAIL,
    SecurityEvent.LOGIN_FAIL,
    SecurityEvent.TOKEN_DENIED,
}


def log_event(
    event: SecurityEvent,
    *,
    user_id: int | None = None,
    session_id: str | None = None,
    client: str | None = None,
    **fields: str | int,
) -> None:
    """Log one event with its fields; those that are None are left out. `client` is an IP address."""
    identifiers = {"user_id": user_id, "session_id": session_id, "client": client}
    known_fields = {name: value for name, value in identifiers.items() if value is not None}
    write = _log.warning if event in _WARNING_EVENTS else _log.info
    write(event.value, **known_fields, **fields)
