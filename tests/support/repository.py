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

    def add(self, video_id: int, presentation: Presentation | None = None, chunks: Sequence[int] = ()) -> None:
        """Add a video in processing; without `presentation` its source was not probed yet."""
        self.records[video_id] = VideoRecord(
            video_id, f"videos/{video_id}.mp4", presentation, frozenset(chunks), frozenset()
        )
        self.status[video_id] = "processing"

    def delete(self, video_id: int) -> None:
        """Delete a video, of which only the source is remembered."""
        self.deleted_sources[video_id] = self.records.pop(video_id).source
        del self.status[video_id]

    def _raise_if_unavailable(self) -> None:
        if self.is_unavailable:
            raise RepositoryUnavailable("the database is unavailable")

    def _change(self, video_id: int, **fields: Any) -> None:
        self._raise_if_unavailable()
        if video_id in self.records:
            self.records[video_id] = replace(self.records[video_id], **fields)

    async def get(self, video_id: int) -> VideoRecord | None:
        self._raise_if_unavailable()
        return self.records.get(video_id)

    async def list_unfinished(self) -> list[int]:
        self._raise_if_unavailable()
        return [video_id for video_id, status in self.status.items() if status == "processing"]

    async def list_finished_after(self, video_id: int, limit: int) -> list[VideoRecord]:
        self._raise_if_unavailable()
        ready = [id_ for id_ in sorted(self.records) if id_ > video_id and self.status[id_] == "ready"]
        return [self.records[id_] for id_ in ready[:limit]]

    async def mark_missing(self, video_id: int, chunks: Collection[int], kinds: Collection[str]) -> None:
        self._raise_if_unavailable()
        if video_id in self.records:
            record = self.records[video_id]
            kept = record.tasks_done - {*kinds, "finish"}
            self._change(video_id, chunks_done=record.chunks_done - frozenset(chunks), tasks_done=kept)

    async def list_deleted(self) -> list[tuple[int, str]]:
        self._raise_if_unavailable()
        return list(self.deleted_sources.items())

    async def set_presentation(self, video_id: int, presentation: Presentation) -> None:
        self._raise_if_unavailable()
        if video_id in self.records and self.records[video_id].presentation is None:
            self._change(video_id, presentation=presentation)

    async def mark_task_done(self, video_id: int, kind: str, index: int, result: dict[str, Any]) -> None:
        self._raise_if_unavailable()
        if kind in self.failing_kinds:
            raise TypeError(f"no {kind} can be written")
        self.completed_tasks.append(f"{kind}:{index}")
        record = self.records.get(video_id)
        if record is not None and kind == "chunk":
            self._change(video_id, chunks_done=record.chunks_done | {index})
        elif record is not None:
            self._change(
                video_id, tasks_done=record.tasks_done | {kind}, task_results={**record.task_results, kind: result}
            )

    async def mark_finished(
        self, video_id: int, result: dict[str, Any], omissions: Omissions = NOTHING_OMITTED
    ) -> None:
        self._raise_if_unavailable()
        if "finish" in self.failing_kinds:
            raise TypeError("no finish can be written")
        if video_id in self.status:
            self._change(video_id, tasks_done=self.records[video_id].tasks_done | {"finish"}, omissions=omissions)
            self.status[video_id] = "ready"

    async def mark_ready_without(self, video_id: int, omissions: Omissions) -> None:
        self._raise_if_unavailable()
        if self.status.get(video_id) == "processing":
            self._change(video_id, omissions=omissions)
            self.status[video_id] = "ready"

    async def set_omissions(self, video_id: int, omissions: Omissions) -> None:
        self._change(video_id, omissions=omissions)

    async def mark_failed(self, video_id: int, message: str) -> None:
        self._raise_if_unavailable()
        if self.status.get(video_id) == "processing":
            self.status[video_id] = f"failed: {message}"
            self._change(video_id, is_failed=True)
