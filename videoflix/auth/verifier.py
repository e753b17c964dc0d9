"""Whom a token of a request identifies, and when a client gets another access token.

Tokens are verified once and then looked up until they expire. Whether their session has ended is checked for every
request, whatever is cached.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache, TTLCache

from videoflix.auth.playback_tokens import PlaybackGrant, PlaybackTokens
from videoflix.auth.revocations import Revocations
from videoflix.auth.sessions import Sessions
from videoflix.auth.tokens import Tokens
from videoflix.errors import TokenNotValid
from videoflix.models import Client, Identity

_MAX_CACHED_TOKENS = 20_000  # of each kind; one takes some 1.5 KB together with its claims
_MAX_CACHED_TOKEN_LENGTH = 800  # characters; ours have some 300
_MAX_RENEWED_TOKENS = 10_000
_RENEWED_TOKEN_TTL_S = 30.0  # as long as the grace period of a replaced refresh token
_RENEWAL_SUSPENSION_S = 5.0


class Expiring(Protocol):
    """The claims of a token."""

    @property
    def expires(self) -> float:
        """Unix time at which the token expires."""


Claims = TypeVar("Claims", bound=Expiring)


class VerifiedTokenCache(Generic[Claims]):
    """Claims by token, for as long as the tokens are valid."""

    def __init__(self, verify: Callable[[str], Claims]) -> None:
        self._verify = verify
        self._cached: LRUCache[str, Claims] = LRUCache(_MAX_CACHED_TOKENS)

    def __call__(self, token: str) -> Claims:
        """Return the claims of a token. Raises TokenNotValid."""
        claims = self._cached.get(token)
        if claims is not None and claims.expires > time.time():
            return claims
        self._cached.pop(token, None)
        claims = self._verify(token)
        if len(token) <= _MAX_CACHED_TOKEN_LENGTH:
            self._cached[token] = claims
        return claims


class RenewedTokenCache(TTLCache[str, str]):
    """The access token last issued for a refresh token.

    A page sends many requests at once, and some players store no cookies and send the old ones with each segment. Each
    such client costs one database query in 30 seconds.
    """

    def __init__(self) -> None:
        super().__init__(_MAX_RENEWED_TOKENS, _RENEWED_TOKEN_TTL_S)


class TokenVerifier:
    """Verifies access and playback tokens, and renews access tokens. Verification is pure CPU.

    `ensure_current` comes before the first verification of a request, unless `is_in_sync`.
    """

    def __init__(
        self, tokens: Tokens, playback_tokens: PlaybackTokens, revocations: Revocations, sessions: Sessions
    ) -> None:
        self._tokens = tokens
        self._playback_tokens = playback_tokens
        self._revocations = revocations
        self._sessions = sessions
        self._access_token_cache = VerifiedTokenCache(tokens.identify)
        self._playback_token_cache: VerifiedTokenCache[PlaybackGrant] = VerifiedTokenCache(playback_tokens.verify)
        self._renewed_tokens = RenewedTokenCache()
        self._renewals_suspended_until = float("-inf")  # by time.monotonic()

    @property
    def is_in_sync(self) -> bool:
        """Whether this process learns at once of every session that another process ends."""
        return self._revocations.is_in_sync

    async def ensure_current(self) -> None:
        """Return when every revocation made before this call is known, usually at once."""
        await self._revocations.ensure_current()

    def verify_access_token(self, token: str) -> Identity:
        """Return whom an access token identifies. Raises TokenNotValid, also if its session has ended."""
        identity = self._access_token_cache(token)
        self.require_active(identity)
        return identity

    def is_access_token_valid(self, token: str | None) -> bool:
        """Return whether this is an access token of an active session."""
        try:
            return bool(token and self.verify_access_token(token))
        except TokenNotValid:
            return False

    def verify_playback_token(self, token: str, video_id: int) -> Identity:
        """Return on whose behalf a playback token grants access. Raises TokenNotValid, also for another video."""
        grant = self._playback_token_cache(token)
        if grant.video_id != video_id:
            raise TokenNotValid
        self.require_active(grant.identity)
        return grant.identity

    def issue_playback_token(self, identity: Identity, video_id: int) -> tuple[str, float]:
        """Return a token for this video, and the Unix time at which it expires."""
        token, grant = self._playback_tokens.issue(identity, video_id)
        return token, grant.expires

    def require_active(self, identity: Identity) -> None:
        """Raise TokenNotValid if the session has ended since its token was verified."""
        if self._revocations.is_revoked(identity.session_id):
            raise TokenNotValid

    async def recheck(self, identity: Identity) -> None:
        """Raise TokenNotValid if the session has ended by now, in whichever process: for the end of a long call."""
        await self.ensure_current()
        self.require_active(identity)

    def is_renewal_due(self, identity: Identity) -> bool:
        """Return whether the access token is in the second half of its lifetime."""
        return self._tokens.is_renewal_due(identity)

    def needs_renewal(self, access_token: str | None) -> bool:
        """Return whether an access token is missing, not valid, or due for renewal while renewals are not suspended."""
        try:
            identity = self.verify_access_token(access_token or "")
        except TokenNotValid:
            return True
        return self.is_renewal_due(identity) and time.monotonic() >= self._renewals_suspended_until

    async def renew_access_token(self, refresh_token: str, client: Client) -> str | None:
        """Return a fresh access token for a refresh token, or None if the refresh token is not valid.

        The refresh token stays as it is.
        """
        cached = self._renewed_tokens.get(refresh_token)
        if cached and not self.needs_renewal(cached):
            return cached
        try:
            access_token = await self._sessions.renew_access_token(refresh_token, client)
        except TokenNotValid:
            return None
        self._renewed_tokens[refresh_token] = access_token
        return access_token

    def suspend_renewals(self) -> None:
        """Renew no valid access token for some seconds: the database is unavailable."""
        self._renewals_suspended_until = time.monotonic() + _RENEWAL_SUSPENSION_S
