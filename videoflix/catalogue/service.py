"""The rules for adding, changing, deleting and retrying videos."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import structlog

from transcode import Engine, JobProgress, LedgerUnavailable, paths
from videoflix.catalogue.index_sync import IndexSync
from videoflix.catalogue.source_files import ids_with_files, move_upload
from videoflix.catalogue.validation import validate_texts
from videoflix.errors import Conflict
from videoflix.models import NewVideo, Video, VideoStatus
from videoflix.stores.counters import CounterStore
from videoflix.stores.file_journal import FileJournalStore
from videoflix.stores.videos import VideoStore

_log = structlog.get_logger(__name__)


class Catalogue:
    """All videos. Each callback of `on_delete` is called with the id of every video that is deleted."""

    def __init__(
        self,
        videos: VideoStore,
        journal: FileJournalStore,
        counters: CounterStore,
        engine: Engine,
        index_sync: IndexSync,
        media_root: Path,
        on_delete: Sequence[Callable[[int], Awaitable[None]]] = (),
    ) -> None:
        self._videos = videos
        self._journal = journal
        self._counters = counters
        self._engine = engine
        self._index_sync = index_sync
        self._media_root = media_root
        self._on_delete = on_delete

    async def list_all(self) -> list[Video]:
        """Return all videos, including failed ones, newest first."""
        return await self._videos.list_all()

    async def get(self, video_id: int) -> Video:
        """Return a video. Raises NotFound."""
        return await self._videos.get(video_id)

    async def has_ever_had_videos(self) -> bool:
        """Return whether a video was ever added, even if all have been deleted since."""
        return await self._counters.get_last("videos") > 0

    def validate(self, new_video: NewVideo) -> NewVideo:
        """Return the texts of a new video, stripped. Raises FieldErrors."""
        return NewVideo(**validate_texts(asdict(new_video)))

    async def update(self, video_id: int, texts: Mapping[str, str]) -> Video:
        """Change title, description or category, and return the video. Raises FieldErrors and NotFound."""
        await self._videos.set_texts(video_id, validate_texts(texts))
        await self._publish_change(video_id)
        return await self._videos.get(video_id)

    async def get_encoding_progress(self, videos: Sequence[Video]) -> Mapping[int, JobProgress]:
        """Return the progress of all videos that have a job, except ready ones; empty while Redis is unavailable."""
        try:
            return await self._engine.progress([video.id for video in videos if video.status is not VideoStatus.READY])
        except LedgerUnavailable:
            return {}

    async def import_upload(self, new_video: NewVideo, upload: Path, suffix: str) -> Video:
        """Move an upload into the catalogue and start to transcode it. Raises FieldErrors.

        The upload must be on the media volume, complete and flushed to disk. It is moved before the video is stored,
        so a crash can leave a file without a video, but no video without a file. Such a file is removed later, because
        its arrival is in the journal.
        """
        texts = self.validate(new_video)
        video_id = await self._allocate_id()
        source = paths.source_path(video_id, suffix)
        await self._journal.record_arrival(video_id, str(source))
        await asyncio.to_thread(move_upload, upload, self._media_root / source)
        video = Video(id=video_id, source=str(source), **asdict(texts))
        await self._videos.add(video)
        await self._journal.clear_arrival(video_id)
        await self._publish_change(video_id)
        await self._engine.start(video_id)
        _log.info("video_imported", video_id=video_id, title=video.title)
        return video

    async def delete(self, video_id: int) -> None:
        """Delete a video with all of its files. Raises NotFound."""
        video = await self._videos.get(video_id)
        await self._journal.record_deletion(video_id, video.source)
        await self._videos.delete(video_id)
        await self._publish_change(video_id)
        for erase in self._on_delete:
            await erase(video_id)
        await self._engine.delete(video_id, video.source)
        _log.info("video_deleted", video_id=video_id, title=video.title)

    async def cancel(self, video_id: int) -> Video:
        """Stop the transcoding of a video; finished parts are kept for a retry. Raises NotFound and Conflict."""
        await self._videos.get(video_id)
        if not await self._videos.set_failed(video_id, "The work was cancelled."):
            raise Conflict("There is no work on this video that could be cancelled.")
        await self._publish_change(video_id)
        await self._engine.cancel(video_id)
        return await self._videos.get(video_id)

    async def retry(self, video_id: int) -> Video:
        """Transcode a failed video again, using its finished parts. Raises NotFound, Conflict and LedgerUnavailable.

        The failed job is removed first: as long as it exists, a processing video would be marked as failed again.
        A video that is ready without something stays ready while that is tried again, by a job that is running already
        or by a new one; workers begin to count their own tries anew.
        """
        video = await self._videos.get(video_id)
        if not video.may_be_retried:
            raise Conflict("Only a video that failed can be tried again.")
        if video.status is VideoStatus.READY:
            await self._videos.set_omissions(video_id, video.omissions, tries=0, tried_at=0)
        else:
            await self._engine.forget(video_id)
            await self._videos.set_processing(video_id)
        await self._publish_change(video_id)
        await self._engine.start(video_id)
        return await self._videos.get(video_id)

    async def _allocate_id(self) -> int:
        """Return a new id that no file uses.

        If the database was lost or restored from a backup, the media folder may contain videos with higher ids than
        the counter. They must not be overwritten, nor be served as parts of another video.
        """
        video_id = await self._counters.allocate("videos")
        used_ids = await asyncio.to_thread(ids_with_files, self._media_root)
        if video_id in used_ids:
            await self._counters.advance_to("videos", max(used_ids))
            video_id = await self._counters.allocate("videos")
        return video_id

    async def _publish_change(self, video_id: int) -> None:
        """Update the index of this process now and those of other processes by message; a lost message only delays."""
        await self._index_sync.refresh({video_id})
        try:
            await self._engine.publish_video_changed(video_id)
        except LedgerUnavailable as error:
            _log.warning("change_not_published", video_id=video_id, error=str(error))
