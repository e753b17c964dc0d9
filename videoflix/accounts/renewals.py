"""Access tokens that were handed out on the way, kept for a moment.

A page asks for many things at once, and some players never store a cookie: they send the old one with each segment.
Neither costs the database more than one question in half a minute.
"""

from __future__ import annotations

import time

from cachetools import TTLCache

_KEPT = 30.0  # seconds: as long as a predecessor has its grace
_MOST = 10_000
_PUT_OFF = 5.0  # seconds


class Renewals:
    """Refresh token -> the access token that it was last given."""

    def __init__(self) -> None:
        self._known: TTLCache[str, str] = TTLCache(_MOST, _KEPT)
        self._again_at = float("-inf")

    def put_off(self) -> None:
        """The database is away: nobody asks for a while without need."""
        self._again_at = time.monotonic() + _PUT_OFF

    @property
    def are_put_off(self) -> bool:
        """Whether that while lasts."""
        return time.monotonic() < self._again_at

    def get(self, refresh_token: str) -> str | None:
        """None when there is none, or none of this moment."""
        return self._known.get(refresh_token)

    def keep(self, refresh_token: str, access_token: str) -> None:
        """The oldest ones make room."""
        self._known[refresh_token] = access_token
