"""What the service needs of the engine, so that neither knows the other; the composition root joins them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol


class Engine(Protocol):
    """The part of `transcode.engine.Engine` that accounts, catalogue and handlers use."""

    async def start(self, film: int) -> None:
        """Begin, or go on with, the work on a film. Safe to repeat."""

    async def cancel(self, film: int) -> None:
        """Stop all work on a film and forget it."""

    async def jobs(self) -> Sequence[Mapping[str, object]]:
        """What is being done, and what became of it, newest first; JSON-able."""

    async def progress(self, films: Sequence[int]) -> Mapping[int, tuple[float, float | None]]:
        """Per film that has a job: per cent done, and seconds left where they can be told."""

    def on_film_changed(self, callback: Callable[[int], None]) -> None:
        """Be called with the id of every film that changes, in whichever process; the callback must be quick."""

    def on_missed_changes(self, callback: Callable[[], None]) -> None:
        """Be called whenever changes may have gone unheard; the callback must be quick."""

    async def film_changed(self, film: int) -> None:
        """Tell every process."""

    async def want_segment(self, film: int, rendition: str, number: int) -> None:
        """Wait until this segment is published. Raises Unavailable."""
