"""The places of those who wait for segments: bounded, and never all taken by one viewer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

_SHARE_DIVISOR = 8


class TooManyWaiters(Exception):
    """Too many requests wait for segments, or this one waited too long; come back in `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class WaiterLimit:
    """A viewer may hold an eighth of the places that are left, and one at least while there are any.

    Of 64, one alone gets eight, and nobody else is turned away; five such viewers leave half of them to others.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiters = Counter[Hashable]()

    @property
    def in_use(self) -> int:
        """By all viewers together."""
        return self._waiters.total()

    @contextmanager
    def acquire(self, viewer: Hashable) -> Iterator[None]:
        """One place for the block. Raises Busy."""
        share = -(-(self._capacity - self.in_use) // _SHARE_DIVISOR)
        if self._waiters[viewer] >= share:
            raise TooManyWaiters(2)
        self._waiters[viewer] += 1
        try:
            yield
        finally:
            self._waiters[viewer] -= 1
            if not self._waiters[viewer]:
                del self._waiters[viewer]
