"""Scores of popular videos.

The score of a video is the number of users who have started it, plus one for each upvote and minus one for each
downvote. Videos without a positive score are not popular, so the list of a new site is empty; it is never padded.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping

import structlog

from videoflix.stores.errors import is_outage
from videoflix.stores.viewing import ProgressStore, RatingStore

_log = structlog.get_logger(__name__)

MAX_AGE_S = 60.0
_MAX_COUNT_TIME_SHARE = 0.02  # of the time may be spent on counting; on a large site counts are less frequent


class Popularity:
    """Scores of all videos, recounted in the background when they are older than `max_age_s` seconds."""

    def __init__(self, progress: ProgressStore, ratings: RatingStore, max_age_s: float = MAX_AGE_S) -> None:
        self._progress = progress
        self._ratings = ratings
        self._max_age_s = max_age_s
        self._scores: Mapping[int, int] | None = None
        self._recount_at = 0.0
        self._count_task: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop counting. Idempotent."""
        if self._count_task is not None:
            self._count_task.cancel()
            await asyncio.gather(self._count_task, return_exceptions=True)

    async def get_scores(self) -> Mapping[int, int]:
        """Return the positive scores by video id. Only the first call waits for a count."""
        if time.monotonic() >= self._recount_at and (self._count_task is None or self._count_task.done()):
            self._count_task = asyncio.create_task(self._count())
        if self._scores is None:
            assert self._count_task is not None
            await asyncio.shield(self._count_task)
        return self._scores or {}

    async def _count(self) -> None:
        """Count everything. Only the first count may raise."""
        started_at = time.monotonic()
        try:
            viewers, votes = await asyncio.gather(self._progress.count_viewers(), self._ratings.count_all_votes())
        except Exception as error:  # drivers raise errors of many kinds
            if self._scores is None:
                raise
            _log.warning("popularity_count_failed", error=str(error), exc_info=not is_outage(error))
        else:
            scores = Counter(viewers)
            for video_id, video_votes in votes.items():
                scores[video_id] += video_votes.ups - video_votes.downs
            self._scores = +scores  # only positive ones
        ended_at = time.monotonic()
        self._recount_at = ended_at + max(self._max_age_s, (ended_at - started_at) / _MAX_COUNT_TIME_SHARE)
