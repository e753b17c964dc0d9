"""Videos in, out and changed; the engine and every list are told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from videoflix.catalogue.index_sync import IndexSync
from videoflix.catalogue.source_files import ids_with_files, move_upload, source_path
from videoflix.catalogue.validation import validate_texts
from videoflix.errors import Conflict, Unavailable
from videoflix.models import NewVideo, Video, VideoStatus
from videoflix.ports import EncodingProgress, Engine
from videoflix.stores.counters import CounterStore
from videoflix.stores.file_journal import FileJournalStore
from videoflix.stores.videos import VideoStore

_log = logging.getLogger(__name__)


class Catalogue:
    """The videos that there are; `on_delete` is called with the id of each one that goes."""

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
        """Newest first, also those that failed."""
        return await self._videos.list_all()

    async def get(self, video_id: int) -> Video:
        """Raises NotFound."""
        return await self._videos.get(video_id)

    async def has_ever_had_videos(self) -> bool:
        """Whether a film was ever put in, also when all are deleted by now."""
        return await self._counters.get_last("videos") > 0

    def validate(self, new_video: NewVideo) -> NewVideo:
        """The same texts, stripped. Raises FieldErrors for what no page could show."""
        return NewVideo(**validate_texts(asdict(new_video)))

    async def update(self, video_id: int, texts: Mapping[str, str]) -> Video:
        """Title, description or category; the video as it is then. Raises FieldErrors and NotFound."""
        await self._videos.set_texts(video_id, validate_texts(texts))
        await self._publish_change(video_id)
        return await self._videos.get(video_id)

    async def get_encoding_progress(self, videos: Sequence[Video]) -> Mapping[int, EncodingProgress]:
        """How far those are that are not ready. Nothing is known while Redis is away: films are shown without it."""
        try:
            return await self._engine.progress([video.id for video in videos if video.status is not VideoStatus.READY])
        except Unavailable:
            return {}

    async def import_upload(self, new_video: NewVideo, upload: Path, suffix: str) -> Video:
        """Move an uploaded file (on the media volume, complete and on disk) into the catalogue and start the work.

        The file is in its place before the catalogue names it: a crash leaves a file too many, never a film too few.
        That file is swept, for it was announced.
        """
        new_video = self.validate(new_video)
        video_id = await self._allocate_id()
        source = source_path(video_id, suffix)
        await self._journal.record_arrival(video_id, str(source))
        await asyncio.to_thread(move_upload, upload, self._media_root / source)
        video = Video(
            id=video_id,
            title=new_video.title,
            description=new_video.description,
            category=new_video.category,
            source=str(source),
        )
        await self._videos.add(video)
        await self._journal.clear_arrival(video_id)
        await self._publish_change(video_id)
        await self._engine.start(video_id)
        _log.info("film_taken_in film=%d title=%r", video_id, video.title)
        return video

    async def delete(self, video_id: int) -> None:
        """Forget the video and remove all of its files. Raises NotFound."""
        video = await self._videos.get(video_id)
        await self._journal.record_deletion(video_id, video.source)
        await self._videos.delete(video_id)
        await self._publish_change(video_id)
        for forget in self._on_delete:
            await forget(video_id)
        await self._engine.delete(video_id, video.source)
        _log.info("film_deleted film=%d title=%r", video_id, video.title)

    async def cancel(self, video_id: int) -> Video:
        """Stop the work on a video; what is finished stays for a retry. Raises NotFound and Conflict."""
        await self._videos.get(video_id)
        if not await self._videos.set_failed(video_id, "The work was cancelled."):
            raise Conflict("There is no work on this video that could be cancelled.")
        await self._publish_change(video_id)
        await self._engine.cancel(video_id)
        return await self._videos.get(video_id)

    async def retry(self, video_id: int) -> Video:
        """Begin again on a video that failed, with what is finished. Raises NotFound, Conflict and Unavailable.

        The old work is forgotten first: while it is known and the video in work, it would fail once more.
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
        """One that no file carries.

        When the database was restored from a backup, or lost, the media folder may hold films that its counter has
        not come to: they must not be overwritten, nor be shown as parts of another film.
        """
        video_id = await self._counters.allocate("videos")
        known = await asyncio.to_thread(ids_with_files, self._media_root)
        if video_id in known:
            await self._counters.advance_to("videos", max(known))
            video_id = await self._counters.allocate("videos")
        return video_id

    async def _publish_change(self, video_id: int) -> None:
        """Have every list right: here at once, elsewhere by message. A message that cannot be sent costs only time."""
        await self._index_sync.refresh({video_id})
        try:
            await self._engine.publish_video_changed(video_id)
        except Unavailable:
            _log.warning("change_untold film=%d", video_id)
