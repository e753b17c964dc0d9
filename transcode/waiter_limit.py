"""A limit of the requests that wait for segments, that no single viewer can exhaust."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

_SHARE_DIVISOR = 8
_RETRY_AFTER_S = 2


class TooManyWaiters(Exception):
    """Too many requests wait for segments. Clients should retry after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class WaiterLimit:
    """Limits a viewer to an eighth of the remaining capacity, but to at least one while any remains.

    Of 64, a single viewer gets eight, so that others are still admitted; five such viewers leave half to others.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiters = Counter[Hashable]()

    @property
    def in_use(self) -> int:
        """The number of waiters of all viewers."""
        return self._waiters.total()

    @contextmanager
    def acquire(self, viewer: Hashable) -> Iterator[None]:
        """Count the viewer as a waiter for the block. Raises TooManyWaiters."""
        share = -(-(self._capacity - self.in_use) // _SHARE_DIVISOR)
        if self._waiters[viewer] >= share:
            raise TooManyWaiters(_RETRY_AFTER_S)
        self._waiters[viewer] += 1
        try:
            yield
        finally:
            self._waiters[viewer] -= 1
            if not self._waiters[viewer]:
                del self._waiters[viewer]
