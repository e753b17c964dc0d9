"""The type of the fixture `run_async`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class RunAsync(Protocol):
    """Run a coroutine function to its end on the test's event loop and return its result."""

    def __call__(self, function: Callable[[], Awaitable[T]], /) -> T:
        """Run the function; raise what it raises."""
