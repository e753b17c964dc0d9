"""What the engine tells the catalogue and asks it; implemented elsewhere, over the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from transcode.presentation import Presentation


@dataclass(frozen=True, slots=True)
class Omissions:
    """Optional tasks that a film was published without: error sentences by the kinds of the tasks.

    `tries` counts the later attempts to make up for them, `tried_at` is the Unix time of the last one.
    """

    sentences: Mapping[str, str] = field(default_factory=dict)
    tries: int = 0
    tried_at: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.sentences)

    def updated(self, sentences: Mapping[str, str], now: float) -> Omissions:
        """Return these with what is missing now; the count of tries begins anew when nothing was missing before."""
        return replace(self, sentences=sentences) if self else Omissions(sentences, 0, now)

    def tried(self, now: float) -> Omissions:
        """Return these with one more try."""
        return replace(self, tries=self.tries + 1, tried_at=now)


NOTHING_OMITTED = Omissions()


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """What is final of a film."""

    video_id: int
    source: str  # path of the source, absolute or below the media folder
    presentation: Presentation | None  # None until the source has been probed
    chunks_done: frozenset[int]
    tasks_done: frozenset[str]  # tasks that a film has once: "thumbnail", "audio", ...
    is_failed: bool = False  # or it was cancelled: nothing should be done for it
    task_results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of the tasks that a film has once
    omissions: Omissions = NOTHING_OMITTED


class RepositoryUnavailable(Exception):
    """The catalogue cannot be reached, or takes no writes at the moment; the same call may be repeated later."""


class VideoRepository(Protocol):
    """Every write may be repeated, and one for a film that is gone does nothing.

    Every method raises BookAway while the database is away, and the worker keeps the work and tries again; whatever
    else is raised is a bug, and the task fails with it.
    """

    async def get(self, video_id: int) -> VideoRecord | None:
        """What is final of a film; None when it is unknown or deleted."""

    async def list_unfinished(self) -> list[int]:
        """Films that are in work, or should be."""

    async def list_finished_after(self, video_id: int, limit: int) -> list[VideoRecord]:
        """The next films that are ready, by their numbers."""

    async def list_deleted(self) -> list[tuple[int, str]]:
        """Films that were deleted not long ago, with their sources."""

    async def set_presentation(self, video_id: int, presentation: Presentation) -> None:
        """The film can be played from here on. What was told first stays."""

    async def mark_task_done(self, video_id: int, kind: str, index: int, result: Mapping[str, Any]) -> None:
        """A chunk, or a task that a film has once, is final."""

    async def mark_missing(self, video_id: int, chunks: Collection[int], kinds: Collection[str]) -> None:
        """These are not final any more, nor is the end of the work; a film that is ready stays it meanwhile."""

    async def mark_finished(
        self, video_id: int, result: Mapping[str, Any], omissions: Omissions = NOTHING_OMITTED
    ) -> None:
        """Everything is final but what the film is published without."""

    async def mark_ready_without(self, video_id: int, omissions: Omissions) -> None:
        """Every segment is final, but the end of the work failed: publish the film as it is."""

    async def set_omissions(self, video_id: int, omissions: Omissions) -> None:
        """Remember what the film is published without, and how often it was tried again."""

    async def mark_failed(self, video_id: int, message: str) -> None:
        """The film cannot be made; the sentence says why."""
