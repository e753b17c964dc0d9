"""Playback tokens: they let a player that keeps no cookies (VLC, a television) fetch one video, and nothing else.

They travel in URLs, which end up in histories and logs. So each is valid for one video and some hours, and only while
the session of the user who requested it is active.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import jwt

from videoflix.auth.tokens import compute_expiry, require_canonical
from videoflix.errors import TokenNotValid
from videoflix.models import Identity

_ALGORITHM = "HS256"
_MAX_TOKEN_LENGTH = 2000  # characters
_TOKEN_TYPE = "playback"  # noqa: S105  # the claim `typ`, no secret
_REQUIRED_CLAIMS = ["exp", "iat", "sub", "sid", "typ", "vid"]


@dataclass(frozen=True, slots=True)
class PlaybackGrant:
    """Which video may be fetched, and on whose behalf."""

    video_id: int
    identity: Identity

    @property
    def expires(self) -> float:
        """Unix time at which the token expires."""
        return self.identity.expires


class PlaybackTokens:
    """Issues and verifies playback tokens that live for `lifetime_s` seconds.

    The key is that of access tokens, so verification checks the type.
    """

    def __init__(self, secret: str, lifetime_s: float) -> None:
        self._secret = secret
        self.lifetime_s = lifetime_s

    def issue(self, identity: Identity, video_id: int) -> tuple[str, PlaybackGrant]:
        """Return a URL-safe token for this video, and what it grants."""
        issued_at = time.time()
        expires = int(issued_at + self.lifetime_s)
        claims = {
            "typ": _TOKEN_TYPE,
            "sub": str(identity.user_id),
            "sid": identity.session_id,
            "vid": video_id,
            "iat": int(issued_at),
            "exp": expires,
        }
        token = jwt.encode(claims, self._secret, _ALGORITHM)
        return token, PlaybackGrant(video_id, Identity(identity.user_id, identity.session_id, False, expires))

    def verify(self, token: str) -> PlaybackGrant:
        """Return what a token grants, whether or not its session has ended. Raises TokenNotValid."""
        if len(token) > _MAX_TOKEN_LENGTH:
            raise TokenNotValid
        require_canonical(token)  # it is written into playlists
        try:
            claims = jwt.decode(token, self._secret, [_ALGORITHM], options={"require": _REQUIRED_CLAIMS})
            if claims["typ"] != _TOKEN_TYPE:
                raise TokenNotValid
            identity = Identity(int(claims["sub"]), str(claims["sid"]), False, compute_expiry(claims, self.lifetime_s))
            return PlaybackGrant(int(claims["vid"]), identity)
        except (jwt.InvalidTokenError, TypeError, ValueError, RecursionError):
            raise TokenNotValid from None
