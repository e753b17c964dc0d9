"""The port through which the engine reads and updates the videos of the catalogue; implemented outside it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from transcode.presentation import Presentation


@dataclass(frozen=True, slots=True)
class Omissions:
    """Optional tasks that a video was published without: error messages by task kind.

    `tries` counts the retries since then, `tried_at` is the Unix time of the last one.
    """

    sentences: Mapping[str, str] = field(default_factory=dict)
    tries: int = 0
    tried_at: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.sentences)

    def updated(self, sentences: Mapping[str, str], now: float) -> Omissions:
        """Return these with what is missing now. If nothing was missing before, the count of tries starts at 0."""
        return replace(self, sentences=sentences) if self else Omissions(sentences, 0, now)

    def tried(self, now: float) -> Omissions:
        """Return these with one more retry."""
        return replace(self, tries=self.tries + 1, tried_at=now)


NOTHING_OMITTED = Omissions()


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """What is done for a video."""

    video_id: int
    source: str  # path of the source, absolute or below the media folder
    presentation: Presentation | None  # None until the source has been probed
    chunks_done: frozenset[int]
    tasks_done: frozenset[str]  # kinds of tasks that run once per video: "thumbnail", "audio", ...
    is_failed: bool = False  # or cancelled: no work should be done for it
    task_results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of tasks_done
    omissions: Omissions = NOTHING_OMITTED


class RepositoryUnavailable(Exception):
    """The database is unreachable or accepts no writes at the moment. The same call may be repeated later."""


class VideoRepository(Protocol):
    """The videos of the catalogue. Every write is idempotent, and does nothing for a deleted video.

    Every method raises RepositoryUnavailable while the database is unavailable; workers then wait and repeat the call.
    Any other exception is a bug, and fails the task.
    """

    async def get(self, video_id: int) -> VideoRecord | None:
        """Return what is done for a video, or None if it does not exist."""

    async def list_unfinished(self) -> list[int]:
        """Return the ids of videos that are being transcoded or should be."""

    async def list_finished_after(self, video_id: int, limit: int) -> list[VideoRecord]:
        """Return the next ready videos in the order of their ids."""

    async def list_deleted(self) -> list[tuple[int, str]]:
        """Return the ids and sources of recently deleted videos."""

    async def set_presentation(self, video_id: int, presentation: Presentation) -> None:
        """Record the result of the probe, which makes the video playable. An earlier presentation is kept."""

    async def mark_task_done(self, video_id: int, kind: str, index: int, result: Mapping[str, Any]) -> None:
        """Record that a chunk, or a task that runs once per video, is done."""

    async def mark_missing(self, video_id: int, chunks: Collection[int], kinds: Collection[str]) -> None:
        """Record that these, and the final task, must run again. A ready video stays ready meanwhile."""

    async def mark_finished(
        self, video_id: int, result: Mapping[str, Any], omissions: Omissions = NOTHING_OMITTED
    ) -> None:
        """Record that everything is done but the omissions."""

    async def mark_ready_without(self, video_id: int, omissions: Omissions) -> None:
        """Publish a video as it is: every segment is done, but the end of the work failed."""

    async def set_omissions(self, video_id: int, omissions: Omissions) -> None:
        """Record what the video is published without, and how often that was retried."""

    async def mark_failed(self, video_id: int, message: str) -> None:
        """Record that the video cannot be transcoded; `message` says why."""
