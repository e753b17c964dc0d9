"""The tokens of a session: signed statements, checked without asking any database (RFC 7519, RFC 8725).

An access token says who a client is for some minutes. A refresh token is one link of a chain: each one's successor is
computed from it, so that two tabs that hand in the same one at the same moment get the same next one although the
database keeps hashes alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from videoflix.errors import TokenNotValid
from videoflix.models import Identity, User

_ALGORITHM = "HS256"
_MAX_TOKEN_LENGTH = 2048  # characters; ours have about 300
# Three parts in base64url without padding (RFC 7515, 7.1); the last one holds the 32 bytes of HS256. The other two are
# signed as they are spelled.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")


def compute_expiry(claims: Mapping[str, Any], lifetime_s: float) -> float:
    """Unix time at which a token expires: when it says so, or earlier when lifetimes were made shorter since.

    Revoked sessions are remembered for as long as tokens live now. Raises TokenNotValid when that is over.
    """
    expires = min(float(claims["exp"]), float(claims["iat"]) + lifetime_s)
    if expires <= time.time():
        raise TokenNotValid
    return expires


def require_canonical(token: str) -> None:
    """Raise TokenNotValid unless a JWT is spelled as it was written.

    Decoders of base64 skip what they do not know, add padding, and ignore the last bits of the last letter: many texts
    would pass for one token.
    """
    signature = token.rpartition(".")[2]
    if not _COMPACT.fullmatch(token) or _base64url(urlsafe_b64decode(f"{signature}=")) != signature:
        raise TokenNotValid


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def hash_secret(secret: str) -> str:
    """What the database keeps of a random secret: it is long enough to need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One link of the chain of the session `session_id`; `link` is its secret part."""

    session_id: str
    secret: str = field(repr=False)

    @property
    def hash(self) -> str:
        """What the database keeps."""
        return hash_secret(self.secret)


class Tokens:
    """Issue and check; `lifetime` of access tokens in seconds."""

    def __init__(self, secret: str, lifetime_s: float) -> None:
        self._secret = secret
        self.lifetime_s = lifetime_s

    def issue_access_token(self, user: User, session_id: str) -> str:
        """An access token of this user for this session."""
        moment = time.time()
        claims = {
            "typ": "access",
            "sub": str(user.id),
            "sid": session_id,
            "adm": user.is_admin,
            "iat": int(moment),
            "exp": int(moment + self.lifetime_s),
        }
        return jwt.encode(claims, self._secret, _ALGORITHM)

    def identify(self, token: str) -> Identity:
        """Who an access token speaks of. Raises TokenNotValid: expired, of another purpose, forged, or none."""
        claims = self._decode_claims(token, "access", "exp", "iat", "sub", "adm")
        try:
            expires = compute_expiry(claims, self.lifetime_s)
            return Identity(int(claims["sub"]), claims["sid"], claims["adm"] is True, expires)
        except (TypeError, ValueError):
            raise TokenNotValid from None

    def is_renewal_due(self, identity: Identity) -> bool:
        """Whether it is time for another access token."""
        return identity.expires - time.time() < self.lifetime_s / 2

    def create_refresh_token(self, session_id: str) -> RefreshToken:
        """The refresh token that begins a chain."""
        return RefreshToken(session_id, secrets.token_urlsafe(32))

    def derive_next_refresh_token(self, token: RefreshToken) -> RefreshToken:
        """Its successor, always the same; nobody computes it without this server's key."""
        digest = hmac.digest(self._secret.encode(), f"successor {token.session_id} {token.secret}".encode(), "sha256")
        return RefreshToken(token.session_id, _base64url(digest))

    def encode_refresh_token(self, token: RefreshToken) -> str:
        """As its cookie carries it. When it expires is the session's matter."""
        return jwt.encode({"typ": "refresh", "sid": token.session_id, "lnk": token.secret}, self._secret, _ALGORITHM)

    def decode_refresh_token(self, encoded: str) -> RefreshToken:
        """Raises TokenNotValid for everything that `written` did not write."""
        claims = self._decode_claims(encoded, "refresh", "lnk")
        return RefreshToken(claims["sid"], str(claims["lnk"]))

    def _decode_claims(self, token: str, purpose: str, *required: str) -> dict[str, Any]:
        try:
            if len(token) > _MAX_TOKEN_LENGTH:
                raise TokenNotValid
            require_canonical(token)
            claims: dict[str, Any] = jwt.decode(
                token, self._secret, [_ALGORITHM], options={"require": ["typ", "sid", *required], "verify_sub": False}
            )
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            raise TokenNotValid from None
        if claims["typ"] != purpose or not isinstance(claims["sid"], str):
            raise TokenNotValid
        return claims
