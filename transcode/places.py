"""The places of those who wait for segments: bounded, and never all taken by one viewer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

_SHARE = 8


class Busy(Exception):
    """Too many requests wait for segments, or this one waited too long; come back in `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class Places:
    """A viewer may hold an eighth of the places that are left, and one at least while there are any.

    Of 64, one alone gets eight, and nobody else is turned away; five such viewers leave half of them to others.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._taken = Counter[Hashable]()

    @property
    def taken(self) -> int:
        """By all viewers together."""
        return self._taken.total()

    @contextmanager
    def taken_by(self, viewer: Hashable) -> Iterator[None]:
        """One place for the block. Raises Busy."""
        share = -(-(self._count - self.taken) // _SHARE)
        if self._taken[viewer] >= share:
            raise Busy(2)
        self._taken[viewer] += 1
        try:
            yield
        finally:
            self._taken[viewer] -= 1
            if not self._taken[viewer]:
                del self._taken[viewer]
