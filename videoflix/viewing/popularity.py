"""Which films people like best, counted from what they really did.

The order is: how many people have begun a film, one more for each who rated it up, one less for each who rated it
down; of equal ones the newest first. A film that comes to nothing is not popular, so the list of a new site is
empty, and a list is never filled up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping

from videoflix.stores.viewing import ProgressStore, RatingStore

_log = logging.getLogger(__name__)

MAX_AGE_S = 60.0  # seconds
_MAX_COUNT_TIME_SHARE = 0.02  # of the time is the most that counting may take, however much there is to count


class Popularity:
    """Counts everything, at most once in `max_age` seconds and in the background but for the first time."""

    def __init__(self, progress: ProgressStore, ratings: RatingStore, max_age_s: float = MAX_AGE_S) -> None:
        self._progress = progress
        self._ratings = ratings
        self._max_age_s = max_age_s
        self._scores: Mapping[int, int] | None = None
        self._recount_at = 0.0
        self._count_task: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop counting. Safe to repeat."""
        if self._count_task is not None:
            self._count_task.cancel()
            await asyncio.gather(self._count_task, return_exceptions=True)

    async def get_scores(self) -> Mapping[int, int]:
        """Positive ones by the id of the film."""
        if time.monotonic() >= self._recount_at and (self._count_task is None or self._count_task.done()):
            self._count_task = asyncio.create_task(self._count())
        if self._scores is None:
            assert self._count_task is not None
            await asyncio.shield(self._count_task)
        return self._scores or {}

    async def _count(self) -> None:
        """Raises only before the first time."""
        begun = time.monotonic()
        try:
            viewers, votes = await asyncio.gather(self._progress.count_viewers(), self._ratings.count_all_votes())
        except Exception:  # whatever the driver raises
            if self._scores is None:
                raise
            _log.warning("popularity_is_old", exc_info=True)
        else:
            scores = Counter(viewers)
            for video_id, given in votes.items():
                scores[video_id] += given.ups - given.downs
            self._scores = +scores
        ended = time.monotonic()
        self._recount_at = ended + max(self._max_age_s, (ended - begun) / _MAX_COUNT_TIME_SHARE)
