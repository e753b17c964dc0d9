"""Access tokens that were handed out on the way, kept for a moment.

A page asks for many things at once, and some players never store a cookie: they send the old one with each segment.
Neither costs the database more than one question in half a minute.
"""

from __future__ import annotations

import time

from cachetools import TTLCache

_CACHE_TTL_S = 30.0  # seconds: as long as a predecessor has its grace
_MAX_RENEWED_TOKENS = 10_000
_SUSPENSION_S = 5.0  # seconds


class RenewedTokenCache:
    """Refresh token -> the access token that it was last given."""

    def __init__(self) -> None:
        self._cached: TTLCache[str, str] = TTLCache(_MAX_RENEWED_TOKENS, _CACHE_TTL_S)
        self._suspended_until = float("-inf")

    def suspend(self) -> None:
        """The database is away: nobody asks for a while without need."""
        self._suspended_until = time.monotonic() + _SUSPENSION_S

    @property
    def is_suspended(self) -> bool:
        """Whether that while lasts."""
        return time.monotonic() < self._suspended_until

    def get(self, refresh_token: str) -> str | None:
        """None when there is none, or none of this moment."""
        return self._cached.get(refresh_token)

    def put(self, refresh_token: str, access_token: str) -> None:
        """The oldest ones make room."""
        self._cached[refresh_token] = access_token
