"""Finishes deletions of videos that a crash or an outage interrupted.

A deletion is first recorded in the journal, then the video is deleted, and then everything that users hold of it
(progress, list entries, ratings). Whatever was left behind, or written by another process at the same moment, is found
through the journal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from videoflix.background import run_periodically
from videoflix.stores.file_journal import FileJournalStore
from videoflix.stores.videos import VideoStore

_MIN_DELETION_AGE_S = 60.0  # after which no process writes anything about a deleted video
_INTERVAL_S = 300.0

VideoDataEraser = Callable[[int], Awaitable[None]]  # removes what users hold of a video, by its id


class VideoPurge:
    """Removes what users hold of deleted videos. Any number of processes may run it: every step is idempotent."""

    def __init__(self, videos: VideoStore, journal: FileJournalStore, erasers: Sequence[VideoDataEraser]) -> None:
        self._videos = videos
        self._journal = journal
        self._erasers = erasers

    def run_in_background(self) -> AbstractAsyncContextManager[None]:
        """Run now and every five minutes until the block is left."""
        return run_periodically(self.run_once, _INTERVAL_S)

    async def run_once(self) -> None:
        """Finish all deletions. A video that still exists was recorded but not deleted, and keeps everything."""
        unfinished_ids = await self._journal.list_unfinished(_MIN_DELETION_AGE_S)
        existing_ids = await self._videos.filter_existing(unfinished_ids)
        for video_id in set(unfinished_ids) - existing_ids:
            for erase in self._erasers:
                await erase(video_id)
            await self._journal.mark_finished(video_id)
