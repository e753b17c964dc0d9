"""The collection of videos. Every write is idempotent, and does nothing if the video was deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import DESCENDING

from videoflix.errors import NotFound
from videoflix.models import ListedVideo, Video, VideoStatus

_NEWEST_FIRST = [("created_at", DESCENDING), ("_id", DESCENDING)]
_LISTED_FIELDS = dict.fromkeys(("title", "description", "category", "created_at", "duration"), 1)
# Names of fields that differ between the model and stored documents.
_STORED_NAMES = {"id": "_id", "presentation": "timeline", "tasks_done": "kinds_done", "task_results": "facts"}
_FIELD_NAMES = {stored: name for name, stored in _STORED_NAMES.items()}
_BATCH_SIZE = 100  # documents that are decoded at once, which blocks the event loop


class VideoStore:
    """Videos, with the tasks that the engine has completed for each of them."""

    def __init__(self, database: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
        self._videos = database["videos"]

    async def create_indexes(self) -> None:
        """Create the indexes of the collection. Idempotent."""
        await self._videos.create_index(_NEWEST_FIRST)
        await self._videos.create_index("status")

    async def add(self, video: Video) -> None:
        """Add a video. Idempotent."""
        await self._videos.replace_one({"_id": video.id}, _to_document(video), upsert=True)

    async def get(self, video_id: int) -> Video:
        """Return a video. Raises NotFound."""
        document = await self._videos.find_one({"_id": video_id})
        if document is None:
            raise NotFound
        return _from_document(document)

    async def iter_playable(self, video_ids: Collection[int] | None = None) -> AsyncIterator[ListedVideo]:
        """Iterate over all playable videos, or over those with these ids, in no particular order."""
        query: dict[str, Any] = {"timeline": {"$ne": None}, "status": {"$ne": VideoStatus.FAILED.value}}
        if video_ids is not None:
            query["_id"] = {"$in": list(video_ids)}
        async for document in self._videos.find(query, _LISTED_FIELDS, batch_size=_BATCH_SIZE):
            yield _to_listed_video(document)

    async def filter_existing(self, video_ids: Collection[int]) -> set[int]:
        """Return those of the ids whose videos exist."""
        documents = self._videos.find({"_id": {"$in": list(video_ids)}}, {"_id": 1})
        return {document["_id"] async for document in documents}

    async def list_all(self) -> list[Video]:
        """Return all videos, including failed ones, newest first."""
        return [_from_document(document) async for document in self._videos.find().sort(_NEWEST_FIRST)]

    async def list_processing(self) -> list[int]:
        """Return the ids of all videos that are being processed, oldest first."""
        documents = self._videos.find({"status": VideoStatus.PROCESSING.value}, {"_id": 1}).sort("_id")
        return [document["_id"] async for document in documents]

    async def list_ready_after(self, video_id: int, limit: int) -> list[Video]:
        """Return the next ready videos in the order of their ids."""
        query = {"status": VideoStatus.READY.value, "_id": {"$gt": video_id}}
        return [_from_document(document) async for document in self._videos.find(query).sort("_id").limit(limit)]

    async def delete(self, video_id: int) -> None:
        """Delete a video. Raises NotFound."""
        if (await self._videos.delete_one({"_id": video_id})).deleted_count == 0:
            raise NotFound

    async def set_texts(self, video_id: int, texts: Mapping[str, str]) -> None:
        """Change title, description or category. Raises NotFound."""
        if texts:
            result = await self._videos.update_one({"_id": video_id}, {"$set": dict(texts)})
            if result.matched_count == 0:
                raise NotFound

    async def set_presentation(
        self,
        video_id: int,
        presentation: Mapping[str, object],
        renditions: Sequence[str],
        segments: int,
        duration: float,
        warning: str | None = None,
    ) -> None:
        """Store the result of the probe, which makes the video playable. `duration` is in seconds.

        An earlier presentation is kept, because parts of the video may already have been made from it.
        """
        fields = {
            "timeline": dict(presentation),
            "renditions": list(renditions),
            "segments": segments,
            "duration": duration,
            "warning": warning,
        }
        await self._videos.update_one({"_id": video_id, "timeline": None}, {"$set": fields})

    async def mark_chunk_done(self, video_id: int, chunk: int) -> None:
        """Record that all segments of a chunk are final."""
        await self._videos.update_one({"_id": video_id}, {"$addToSet": {"chunks_done": chunk}})

    async def mark_task_done(self, video_id: int, kind: str, result: Mapping[str, object]) -> None:
        """Record that a task that runs once for each video (thumbnail, audio, ...) is done, with its result."""
        await self._videos.update_one(
            {"_id": video_id}, {"$addToSet": {"kinds_done": kind}, "$set": {f"facts.{kind}": dict(result)}}
        )

    async def unmark_done(self, video_id: int, chunks: Collection[int], kinds: Collection[str]) -> None:
        """Record that these chunks and tasks must be done again."""
        removals = {"chunks_done": {"$in": list(chunks)}, "kinds_done": {"$in": list(kinds)}}
        await self._videos.update_one({"_id": video_id}, {"$pull": removals})

    async def set_ready(self, video_id: int, facts: Mapping[str, object]) -> bool:
        """Record that everything is done, with the result of the last task.

        Returns False, and stores nothing, if the video was cancelled meanwhile, even at this very moment.
        """
        fields = {"status": VideoStatus.READY.value, "error": None, "facts.finish": dict(facts)}
        done = await self._videos.update_one(
            {"_id": video_id, "status": {"$ne": VideoStatus.FAILED.value}},
            {"$set": fields, "$addToSet": {"kinds_done": "finish"}},
        )
        return done.matched_count > 0

    async def set_omissions(self, video_id: int, sentences: Mapping[str, str], tries: int, tried_at: float) -> None:
        """Record what the video is published without and why, by task kind, and how often and when it was retried."""
        fields = {"omissions": dict(sentences), "tries": tries, "tried_at": tried_at}
        await self._videos.update_one({"_id": video_id}, {"$set": fields})

    async def set_ready_as_it_is(self, video_id: int) -> bool:
        """Make a processing video ready whose segments are all done. Returns False if it is not processing."""
        return await self._change_status(video_id, VideoStatus.PROCESSING, VideoStatus.READY, None)

    async def set_failed(self, video_id: int, message: str) -> bool:
        """Mark a video as failed, with the reason. Return False if it is not being processed."""
        return await self._change_status(video_id, VideoStatus.PROCESSING, VideoStatus.FAILED, message)

    async def set_processing(self, video_id: int) -> bool:
        """Mark a failed video as being processed again. Return False if it has not failed."""
        return await self._change_status(video_id, VideoStatus.FAILED, VideoStatus.PROCESSING, None)

    async def _change_status(
        self, video_id: int, old_status: VideoStatus, new_status: VideoStatus, error: str | None
    ) -> bool:
        fields = {"status": new_status.value, "error": error}
        result = await self._videos.update_one({"_id": video_id, "status": old_status.value}, {"$set": fields})
        return result.matched_count > 0


def _to_listed_video(document: dict[str, Any]) -> ListedVideo:
    """Convert a document. Fields that older versions left out become empty, because frontends cannot display null."""
    return ListedVideo(
        id=document["_id"],
        title=document["title"],
        description=document.get("description") or "",
        category=document.get("category") or "",
        created_at=document["created_at"],
        duration=document.get("duration") or 0.0,
    )


def _to_document(video: Video) -> dict[str, Any]:
    fields = {_STORED_NAMES.get(name, name): value for name, value in asdict(video).items()}
    fields["status"] = video.status.value
    fields["renditions"] = list(video.renditions)
    fields["chunks_done"] = sorted(video.chunks_done)
    fields["kinds_done"] = sorted(video.tasks_done)
    return fields


def _from_document(document: dict[str, Any]) -> Video:
    fields = {_FIELD_NAMES.get(name, name): value for name, value in document.items()}
    fields = {name: value for name, value in fields.items() if name in Video.__slots__}
    return Video(
        **{
            **fields,
            "status": VideoStatus(document["status"]),
            "renditions": tuple(document["renditions"]),
            "chunks_done": frozenset(document["chunks_done"]),
            "tasks_done": frozenset(document["kinds_done"]),
        }
    )
