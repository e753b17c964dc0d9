"""Who may fetch media: tokens are verified once, and after that looked up until they expire or their session ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache

from videoflix.accounts.playback import PlaybackPass, PlaybackTokens
from videoflix.accounts.revocations import Revocations
from videoflix.errors import TokenNotValid
from videoflix.models import Identity

_MOST = 20_000  # tokens of a kind that are remembered; with what they say, some 1.5 KB each
_LONGEST = 800  # characters of a token that is remembered; ours have some 300


class Expiring(Protocol):
    """What a token says."""

    @property
    def expires(self) -> float:
        """Unix time."""


Said = TypeVar("Said", bound=Expiring)


class Verified(Generic[Said]):
    """What tokens say, remembered while they are valid."""

    def __init__(self, verify: Callable[[str], Said]) -> None:
        self._verify = verify
        self._known: LRUCache[str, Said] = LRUCache(_MOST)

    def __call__(self, token: str) -> Said:
        """Raises TokenNotValid."""
        said = self._known.get(token)
        if said is not None and said.expires > time.time():
            return said
        self._known.pop(token, None)
        said = self._verify(token)
        if len(token) <= _LONGEST:
            self._known[token] = said
        return said


class Admission:
    """Pure CPU. Whether a session was revoked is asked for every request, whatever is remembered of the token."""

    def __init__(self, identify: Callable[[str], Identity], playback: PlaybackTokens, revocations: Revocations) -> None:
        self._by_access_token = Verified(identify)
        self._by_playback_token: Verified[PlaybackPass] = Verified(playback.check)
        self._playback = playback
        self._revocations = revocations

    @property
    def is_current(self) -> bool:
        """Whether every revocation is known here; otherwise they have to be asked for before anyone gets in."""
        return self._revocations.in_step

    def by_access_token(self, token: str) -> Identity:
        """Raises TokenNotValid."""
        return self._living(self._by_access_token(token))

    def by_playback_token(self, token: str, video_id: int) -> Identity:
        """Raises TokenNotValid, also for a token of another film."""
        given = self._by_playback_token(token)
        if given.video_id != video_id:
            raise TokenNotValid
        return self._living(given.identity)

    def playback_token(self, identity: Identity, video_id: int) -> tuple[str, float]:
        """A token for this film, and the Unix time at which it expires."""
        token, given = self._playback.issue(identity, video_id)
        return token, given.expires

    def _living(self, identity: Identity) -> Identity:
        if self._revocations.is_revoked(identity.session_id):
            raise TokenNotValid
        return identity
