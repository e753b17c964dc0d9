"""Access tokens: signed statements of who a client is, checked without asking any database (RFC 7519)."""

from __future__ import annotations

import time

import jwt

from videoflix.errors import TokenNotValid
from videoflix.models import Identity, User

_ALGORITHM = "HS256"


class AccessTokens:
    """Issue and check access tokens; `lifetime` in seconds."""

    def __init__(self, secret: str, lifetime: float) -> None:
        self._secret = secret
        self.lifetime = lifetime

    def issue(self, user: User, session_id: str) -> str:
        """A token of this user for this session."""
        moment = time.time()
        claims = {
            "typ": "access",
            "sub": str(user.id),
            "sid": session_id,
            "adm": user.is_admin,
            "iat": int(moment),
            "exp": int(moment + self.lifetime),
        }
        return jwt.encode(claims, self._secret, _ALGORITHM)

    def identify(self, token: str) -> Identity:
        """Raises TokenNotValid: expired, of another purpose, signed otherwise, or no token."""
        try:
            claims = jwt.decode(
                token, self._secret, [_ALGORITHM], options={"require": ["exp", "iat", "sub", "sid", "typ", "adm"]}
            )
            if claims["typ"] != "access":
                raise TokenNotValid
            return Identity(int(claims["sub"]), str(claims["sid"]), claims["adm"] is True, float(claims["exp"]))
        except (jwt.InvalidTokenError, ValueError):
            raise TokenNotValid from None
