"""A video repository in memory: the catalogue as the engine and its workers know it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from transcode.presentation import Presentation
from transcode.repository import NOTHING_OMITTED, Omissions, RepositoryUnavailable, VideoRecord, VideoRepository


@dataclass
class InMemoryRepository(VideoRepository):
    """The videos of a catalogue in memory.

    `is_unavailable`: every call fails, as with a database that is down. `failing_kinds`: kinds of tasks whose results
    raise a bug when they are recorded. `completed_tasks`: what was recorded, as `kind:index`.
    """

    records: dict[int, VideoRecord] = field(default_factory=dict)
    status: dict[int, str] = field(default_factory=dict)
    deleted_sources: dict[int, str] = field(default_factory=dict)
    is_unavailable: bool = False
    failing_kinds: set[str] = field(default_factory=set)
    completed_tasks: list[str] = field(default_factory=list)

    def add(self, film: int, timeline: Presentation | None = None, chunks: Sequence[int] = ()) -> None:
        """Add a video in processing; without `timeline` its source was not probed yet."""
        self.records[film] = VideoRecord(film, f"videos/{film}.mp4", timeline, frozenset(chunks), frozenset())
        self.status[film] = "processing"

    def delete(self, film: int) -> None:
        """Delete a video, of which only the source is remembered."""
        self.deleted_sources[film] = self.records.pop(film).source
        del self.status[film]

    def _answer(self) -> None:
        if self.is_unavailable:
            raise RepositoryUnavailable("the database is away")

    def _change(self, film: int, **fields: Any) -> None:
        self._answer()
        if film in self.records:
            self.records[film] = replace(self.records[film], **fields)

    async def get(self, film: int) -> VideoRecord | None:
        self._answer()
        return self.records.get(film)

    async def list_unfinished(self) -> list[int]:
        self._answer()
        return [film for film, status in self.status.items() if status == "processing"]

    async def list_finished_after(self, film: int, limit: int) -> list[VideoRecord]:
        self._answer()
        ready = [number for number in sorted(self.records) if number > film and self.status[number] == "ready"]
        return [self.records[number] for number in ready[:limit]]

    async def mark_missing(self, film: int, chunks: Collection[int], kinds: Collection[str]) -> None:
        self._answer()
        if film in self.records:
            entry = self.records[film]
            kept = entry.tasks_done - {*kinds, "finish"}
            self._change(film, chunks_done=entry.chunks_done - frozenset(chunks), tasks_done=kept)

    async def list_deleted(self) -> list[tuple[int, str]]:
        self._answer()
        return list(self.deleted_sources.items())

    async def set_presentation(self, film: int, timeline: Presentation) -> None:
        self._answer()
        if film in self.records and self.records[film].presentation is None:
            self._change(film, presentation=timeline)

    async def mark_task_done(self, film: int, kind: str, index: int, result: dict[str, Any]) -> None:
        self._answer()
        if kind in self.failing_kinds:
            raise TypeError(f"no {kind} can be written")
        self.completed_tasks.append(f"{kind}:{index}")
        entry = self.records.get(film)
        if entry is not None and kind == "chunk":
            self._change(film, chunks_done=entry.chunks_done | {index})
        elif entry is not None:
            self._change(film, tasks_done=entry.tasks_done | {kind}, task_results={**entry.task_results, kind: result})

    async def mark_finished(self, film: int, result: dict[str, Any], omissions: Omissions = NOTHING_OMITTED) -> None:
        self._answer()
        if "finish" in self.failing_kinds:
            raise TypeError("no finish can be written")
        if film in self.status:
            self._change(film, tasks_done=self.records[film].tasks_done | {"finish"}, omissions=omissions)
            self.status[film] = "ready"

    async def mark_ready_without(self, film: int, omissions: Omissions) -> None:
        self._answer()
        if self.status.get(film) == "processing":
            self._change(film, omissions=omissions)
            self.status[film] = "ready"

    async def set_omissions(self, film: int, omissions: Omissions) -> None:
        self._change(film, omissions=omissions)

    async def mark_failed(self, film: int, sentence: str) -> None:
        self._answer()
        if self.status.get(film) == "processing":
            self.status[film] = f"failed: {sentence}"
            self._change(film, is_failed=True)
