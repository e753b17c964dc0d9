"""Deletions to their end: what a process that died, or a database that went away, left of a film that is gone.

A film is announced as deleted, is deleted, and then all that people hold of it goes. Whatever ends that in the middle,
and whatever another process wrote at the same moment, is found here by the announcement.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from videoflix.background import repeated
from videoflix.stores.deletions import DeletionStore
from videoflix.stores.videos import VideoStore

_log = logging.getLogger(__name__)

_SETTLED = 60.0  # seconds after which nobody writes about a deleted film any more
_PAUSE = 300.0  # seconds between two sweeps

Forget = Callable[[int], Awaitable[None]]


class Leftovers:
    """Any number of processes may sweep; every step is safe to repeat."""

    def __init__(self, videos: VideoStore, deletions: DeletionStore, forget: Sequence[Forget]) -> None:
        self._videos = videos
        self._deletions = deletions
        self._forget = forget

    def swept(self) -> AbstractAsyncContextManager[None]:
        """At once and from time to time, for as long as the block lasts."""
        return repeated(self.sweep, _PAUSE, _log)

    async def sweep(self) -> None:
        """Once. A film that is still there was announced and never deleted: it keeps everything."""
        settled = await self._deletions.unfinished(_SETTLED)
        living = await self._videos.existing(settled)
        for video_id in set(settled) - living:
            for forget in self._forget:
                await forget(video_id)
            await self._deletions.finish(video_id)
