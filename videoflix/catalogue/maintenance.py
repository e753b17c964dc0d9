"""Deletions to their end: what a process that died, or a database that went away, left of a film that is gone.

A film is announced as deleted, is deleted, and then all that people hold of it goes. Whatever ends that in the middle,
and whatever another process wrote at the same moment, is found here by the announcement.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from videoflix.background import run_periodically
from videoflix.stores.file_journal import FileJournalStore
from videoflix.stores.videos import VideoStore

_log = logging.getLogger(__name__)

_MIN_DELETION_AGE_S = 60.0  # seconds after which nobody writes about a deleted film any more
_INTERVAL_S = 300.0  # seconds between two sweeps

VideoDataEraser = Callable[[int], Awaitable[None]]


class VideoPurge:
    """Any number of processes may sweep; every step is safe to repeat."""

    def __init__(self, videos: VideoStore, journal: FileJournalStore, erasers: Sequence[VideoDataEraser]) -> None:
        self._videos = videos
        self._journal = journal
        self._erasers = erasers

    def run_in_background(self) -> AbstractAsyncContextManager[None]:
        """At once and from time to time, for as long as the block lasts."""
        return run_periodically(self.run_once, _INTERVAL_S, _log)

    async def run_once(self) -> None:
        """Once. A film that is still there was announced and never deleted: it keeps everything."""
        settled = await self._journal.list_unfinished(_MIN_DELETION_AGE_S)
        living = await self._videos.filter_existing(settled)
        for video_id in set(settled) - living:
            for forget in self._erasers:
                await forget(video_id)
            await self._journal.mark_finished(video_id)
