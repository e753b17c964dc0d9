"""Access and refresh tokens of a session: signed JWTs, verified without a database (RFC 7519, RFC 8725).

An access token identifies a client for some minutes. A refresh token is one link of a chain, and each successor is
derived from its predecessor. So two tabs that present the same token at the same moment get the same next one, although
the database stores hashes only.
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
_REFRESH_SECRET_BYTES = 32
# Three parts in base64url without padding (RFC 7515, section 7.1); the last holds the 32 bytes of an HS256 signature.
# The spelling of the other two is signed.
_COMPACT_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}")


def compute_expiry(claims: Mapping[str, Any], lifetime_s: float) -> float:
    """Return the Unix time at which a token expires. Raises TokenNotValid if that has passed.

    A lifetime that was shortened applies to tokens issued before: revoked sessions are remembered no longer than that.
    """
    expires = min(float(claims["exp"]), float(claims["iat"]) + lifetime_s)
    if expires <= time.time():
        raise TokenNotValid
    return expires


def require_canonical(token: str) -> None:
    """Raise TokenNotValid unless a JWT is spelled as it was issued.

    Decoders of base64 skip unknown characters, add padding, and ignore the last bits of the last letter, so many
    spellings would pass for one token.
    """
    signature = token.rpartition(".")[2]
    if not _COMPACT_JWT.fullmatch(token) or _base64url(urlsafe_b64decode(f"{signature}=")) != signature:
        raise TokenNotValid


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def hash_secret(secret: str) -> str:
    """Return the hash of a random secret for the database. Its length makes salt and a slow hash unnecessary."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One link of the refresh token chain of a session."""

    session_id: str
    secret: str = field(repr=False)

    @property
    def hash(self) -> str:
        """The hash that the database stores."""
        return hash_secret(self.secret)


class Tokens:
    """Issues and verifies tokens; access tokens live for `lifetime_s` seconds."""

    def __init__(self, secret: str, lifetime_s: float) -> None:
        self._secret = secret
        self.lifetime_s = lifetime_s

    def issue_access_token(self, user: User, session_id: str) -> str:
        """Return an access token of this user for this session."""
        issued_at = time.time()
        claims = {
            "typ": "access",
            "sub": str(user.id),
            "sid": session_id,
            "adm": user.is_admin,
            "iat": int(issued_at),
            "exp": int(issued_at + self.lifetime_s),
        }
        return jwt.encode(claims, self._secret, _ALGORITHM)

    def identify(self, token: str) -> Identity:
        """Return whom an access token identifies. Raises TokenNotValid if it is expired, forged or of another type."""
        claims = self._decode_claims(token, "access", "exp", "iat", "sub", "adm")
        try:
            expires = compute_expiry(claims, self.lifetime_s)
            return Identity(int(claims["sub"]), claims["sid"], claims["adm"] is True, expires)
        except (TypeError, ValueError):
            raise TokenNotValid from None

    def is_renewal_due(self, identity: Identity) -> bool:
        """Return whether an access token is in the second half of its lifetime."""
        return identity.expires - time.time() < self.lifetime_s / 2

    def create_refresh_token(self, session_id: str) -> RefreshToken:
        """Return the first refresh token of a session."""
        return RefreshToken(session_id, secrets.token_urlsafe(_REFRESH_SECRET_BYTES))

    def derive_next_refresh_token(self, token: RefreshToken) -> RefreshToken:
        """Return the successor of a refresh token: always the same, and not computable without the server's key."""
        digest = hmac.digest(self._secret.encode(), f"successor {token.session_id} {token.secret}".encode(), "sha256")
        return RefreshToken(token.session_id, _base64url(digest))

    def encode_refresh_token(self, token: RefreshToken) -> str:
        """Return a refresh token as its cookie carries it. Its expiry is stored with the session."""
        return jwt.encode({"typ": "refresh", "sid": token.session_id, "lnk": token.secret}, self._secret, _ALGORITHM)

    def decode_refresh_token(self, encoded: str) -> RefreshToken:
        """Return the refresh token of a cookie. Raises TokenNotValid if `encode_refresh_token` did not make it."""
        claims = self._decode_claims(encoded, "refresh", "lnk")
        return RefreshToken(claims["sid"], str(claims["lnk"]))

    def _decode_claims(self, token: str, token_type: str, *required: str) -> dict[str, Any]:
        try:
            if len(token) > _MAX_TOKEN_LENGTH:
                raise TokenNotValid
            require_canonical(token)
            claims: dict[str, Any] = jwt.decode(
                token, self._secret, [_ALGORITHM], options={"require": ["typ", "sid", *required], "verify_sub": False}
            )
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            raise TokenNotValid from None
        if claims["typ"] != token_type or not isinstance(claims["sid"], str):
            raise TokenNotValid
        return claims
