"""What the service needs of the engine, so that neither knows the other; the composition root joins them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class EncodingProgress:
    """How far the work on a film is."""

    percent: float = 0.0
    seconds_left: float | None = None  # None where it cannot be told
    pause_reason: str = ""  # what has to be there before it goes on: "free disk space", "the media volume"


class Engine(Protocol):
    """The part of `transcode.engine.Engine` that accounts, catalogue and handlers use."""

    async def start(self, video_id: int) -> None:
        """Begin, or go on with, the work on a film. Safe to repeat."""

    async def cancel(self, video_id: int) -> None:
        """Stop all work on a film that is not in work any more."""

    async def delete(self, video_id: int, source: str) -> None:
        """Stop all work on a film that is deleted, and remove every file of it."""

    async def forget(self, video_id: int) -> None:
        """Make room for new work on a film whose last work is over. Raises Unavailable."""

    async def jobs(self) -> Sequence[Mapping[str, object]]:
        """What is being done, and what became of it, newest first; JSON-able."""

    async def progress(self, video_ids: Sequence[int]) -> Mapping[int, EncodingProgress]:
        """For each film that has a job. Raises Unavailable."""

    def on_video_changed(self, callback: Callable[[int], None]) -> None:
        """Be called with the id of every film that changes, in whichever process; the callback must be quick."""

    def on_missed_changes(self, callback: Callable[[], None]) -> None:
        """Be called whenever changes may have gone unheard; the callback must be quick."""

    async def publish_video_changed(self, video_id: int) -> None:
        """Tell every process."""

    async def request_segment(
        self, video_id: int, rendition: str, number: int, user_id: int, elapsed_s: float = 0
    ) -> None:
        """Wait until this segment is published. `waited`: seconds that the request has taken so far.

        Raises Unavailable, also when too many requests of this user wait.
        """
