"""Who may fetch media: tokens are verified once, and after that looked up until they expire or their session ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache

from videoflix.auth.playback_tokens import PlaybackGrant, PlaybackTokens
from videoflix.auth.revocations import Revocations
from videoflix.errors import TokenNotValid
from videoflix.models import Identity

_MAX_CACHED_TOKENS = 20_000  # tokens of a kind that are remembered; with what they say, some 1.5 KB each
_LONGEST = 800  # characters of a token that is remembered; ours have some 300


class Expiring(Protocol):
    """What a token says."""

    @property
    def expires(self) -> float:
        """Unix time."""


Claims = TypeVar("Claims", bound=Expiring)


class VerifiedTokenCache(Generic[Claims]):
    """What tokens say, remembered while they are valid."""

    def __init__(self, verify: Callable[[str], Claims]) -> None:
        self._verify = verify
        self._cached: LRUCache[str, Claims] = LRUCache(_MAX_CACHED_TOKENS)

    def __call__(self, token: str) -> Claims:
        """Raises TokenNotValid."""
        said = self._cached.get(token)
        if said is not None and said.expires > time.time():
            return said
        self._cached.pop(token, None)
        said = self._verify(token)
        if len(token) <= _LONGEST:
            self._cached[token] = said
        return said


class TokenVerifier:
    """Pure CPU. Whether a session was revoked is asked for every request, whatever is remembered of the token."""

    def __init__(
        self, identify: Callable[[str], Identity], playback_tokens: PlaybackTokens, revocations: Revocations
    ) -> None:
        self._access_token_cache = VerifiedTokenCache(identify)
        self._playback_token_cache: VerifiedTokenCache[PlaybackGrant] = VerifiedTokenCache(playback_tokens.verify)
        self._playback_tokens = playback_tokens
        self._revocations = revocations

    @property
    def is_in_sync(self) -> bool:
        """Whether every revocation is known here; otherwise they have to be asked for before anyone gets in."""
        return self._revocations.is_in_sync

    def verify_access_token(self, token: str) -> Identity:
        """Raises TokenNotValid."""
        return self._require_active(self._access_token_cache(token))

    def verify_playback_token(self, token: str, video_id: int) -> Identity:
        """Raises TokenNotValid, also for a token of another film."""
        given = self._playback_token_cache(token)
        if given.video_id != video_id:
            raise TokenNotValid
        return self._require_active(given.identity)

    def issue_playback_token(self, identity: Identity, video_id: int) -> tuple[str, float]:
        """A token for this film, and the Unix time at which it expires."""
        token, given = self._playback_tokens.issue(identity, video_id)
        return token, given.expires

    def _require_active(self, identity: Identity) -> Identity:
        if self._revocations.is_revoked(identity.session_id):
            raise TokenNotValid
        return identity
