"""Playback tokens: they let a player that keeps no cookies (VLC, a television) fetch one film, and nothing else.

They travel in URLs, which end up in histories and logs: each opens one film for some hours, and dies with the session
of whoever asked for it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import jwt

from videoflix.auth.tokens import compute_expiry, require_canonical
from videoflix.errors import TokenNotValid
from videoflix.models import Identity

_ALGORITHM = "HS256"
_LONGEST = 2000  # characters
_TOKEN_TYPE = "playback"  # noqa: S105  # the claim `typ`, no secret
_REQUIRED_CLAIMS = ["exp", "iat", "sub", "sid", "typ", "vid"]


@dataclass(frozen=True, slots=True)
class PlaybackGrant:
    """Which film may be fetched, and in whose name."""

    video_id: int
    identity: Identity

    @property
    def expires(self) -> float:
        """Unix time."""
        return self.identity.expires


class PlaybackTokens:
    """Issue and check; `lifetime` in seconds. Signed with the same key as access tokens, so the type is checked."""

    def __init__(self, secret: str, lifetime_s: float) -> None:
        self._secret = secret
        self.lifetime_s = lifetime_s

    def issue(self, identity: Identity, video_id: int) -> tuple[str, PlaybackGrant]:
        """A token for this film; URL-safe."""
        moment = time.time()
        expires = int(moment + self.lifetime_s)
        claims = {
            "typ": _TOKEN_TYPE,
            "sub": str(identity.user_id),
            "sid": identity.session_id,
            "vid": video_id,
            "iat": int(moment),
            "exp": expires,
        }
        token = jwt.encode(claims, self._secret, _ALGORITHM)
        return token, PlaybackGrant(video_id, Identity(identity.user_id, identity.session_id, False, expires))

    def verify(self, token: str) -> PlaybackGrant:
        """Raises TokenNotValid. Whether its session was revoked is somebody else's to say."""
        if len(token) > _LONGEST:
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
