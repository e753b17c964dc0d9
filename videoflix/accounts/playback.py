"""Playback tokens: they let a player that keeps no cookies (VLC, a television) fetch one film, and nothing else.

They travel in URLs, which end up in histories and logs: each opens one film for some hours, and dies with the session
of whoever asked for it.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import jwt

from videoflix.accounts.tokens import end_of, is_canonical
from videoflix.errors import TokenNotValid
from videoflix.models import Identity

_ALGORITHM = "HS256"
_URL_SAFE = re.compile(r"[A-Za-z0-9_.-]{1,2000}")
_TYPE = "playback"
_CLAIMS = ["exp", "iat", "sub", "sid", "typ", "vid"]


@dataclass(frozen=True, slots=True)
class PlaybackPass:
    """Which film may be fetched, and in whose name."""

    video_id: int
    identity: Identity

    @property
    def expires(self) -> float:
        """Unix time."""
        return self.identity.expires


class PlaybackTokens:
    """Issue and check; `lifetime` in seconds. Signed with the same key as access tokens, so the type is checked."""

    def __init__(self, secret: str, lifetime: float) -> None:
        self._secret = secret
        self.lifetime = lifetime

    def issue(self, identity: Identity, video_id: int) -> tuple[str, PlaybackPass]:
        """A token for this film; URL-safe."""
        moment = time.time()
        expires = int(moment + self.lifetime)
        claims = {
            "typ": _TYPE,
            "sub": str(identity.user_id),
            "sid": identity.session_id,
            "vid": video_id,
            "iat": int(moment),
            "exp": expires,
        }
        token = jwt.encode(claims, self._secret, _ALGORITHM)
        return token, PlaybackPass(video_id, Identity(identity.user_id, identity.session_id, False, expires))

    def check(self, token: str) -> PlaybackPass:
        """Raises TokenNotValid. Whether its session was revoked is somebody else's to say."""
        if not _URL_SAFE.fullmatch(token) or not is_canonical(
            token
        ):  # it is written into playlists; base64 decoders skip what they do not know
            raise TokenNotValid
        try:
            claims = jwt.decode(token, self._secret, [_ALGORITHM], options={"require": _CLAIMS})
            if claims["typ"] != _TYPE:
                raise TokenNotValid
            identity = Identity(int(claims["sub"]), str(claims["sid"]), False, end_of(claims, self.lifetime))
            return PlaybackPass(int(claims["vid"]), identity)
        except (jwt.InvalidTokenError, TypeError, ValueError):
            raise TokenNotValid from None
