"""The rules for progress, lists and ratings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from videoflix.catalogue.index import Query
from videoflix.catalogue.index_sync import IndexSync
from videoflix.models import Rating, Votes, WatchProgress
from videoflix.stores.viewing import MyListStore, RatingStore
from videoflix.viewing.popularity import Popularity
from videoflix.viewing.progress import ProgressReports

_FINISHED_SHARE = 0.95  # of a video; from here on it counts as finished


@dataclass(frozen=True, slots=True)
class UserVideoState:
    """The relation of a user to a video, and the votes of all users."""

    progress: WatchProgress | None
    rating: Rating | None
    votes: Votes
    is_on_list: bool


class Viewing:
    """Progress, lists and ratings of all users. Lists contain only playable videos: a deleted one is gone at once."""

    def __init__(
        self,
        index_sync: IndexSync,
        reports: ProgressReports,
        my_lists: MyListStore,
        ratings: RatingStore,
        popularity: Popularity,
    ) -> None:
        self._index_sync = index_sync
        self._reports = reports
        self._my_lists = my_lists
        self._ratings = ratings
        self._popularity = popularity

    async def report_progress(
        self, user_id: int, video_id: int, position: float, duration: float | None, is_finished: bool | None
    ) -> WatchProgress:
        """Store how far a user has watched a video, in seconds. Raises NotFound.

        `duration` is the player's value, used only if the catalogue has none. `is_finished` overrides the result that
        follows from the position.
        """
        duration_s = (await self._index_sync.get(video_id)).duration or duration or 0.0
        if duration_s:
            position = min(position, duration_s)
        if is_finished is None:
            is_finished = bool(duration_s) and position >= _FINISHED_SHARE * duration_s
        report = WatchProgress(
            user_id=user_id, video_id=video_id, position=position, duration=duration_s, finished=is_finished
        )
        await self._reports.put(report)
        return report

    async def get_progress(self, user_id: int, video_id: int) -> WatchProgress | None:
        """Return the progress of a user, or None if the video was not started. Raises NotFound."""
        await self._index_sync.get(video_id)
        return await self._reports.get(user_id, video_id)

    async def forget_progress(self, user_id: int, video_id: int) -> None:
        """Reset the progress of a user on a video. Idempotent, even if the video does not exist."""
        await self._reports.forget(user_id, video_id)

    async def list_in_progress(self, user_id: int) -> Sequence[WatchProgress]:
        """Return the progress of all started and unfinished videos, the last watched first."""
        index = await self._index_sync.get_index()
        return [report for report in await self._reports.list_in_progress(user_id) if index.get(report.video_id)]

    async def get_my_list(self, user_id: int) -> Sequence[int]:
        """Return the ids of the videos on a user's list, the last added first."""
        index = await self._index_sync.get_index()
        return [video_id for video_id in await self._my_lists.list_for_user(user_id) if index.get(video_id)]

    async def is_on_list(self, user_id: int, video_id: int) -> bool:
        """Return whether a video is on a user's list. Raises NotFound."""
        await self._index_sync.get(video_id)
        return await self._my_lists.contains(user_id, video_id)

    async def add_to_list(self, user_id: int, video_id: int) -> None:
        """Add a video to a user's list. Idempotent. Raises NotFound."""
        await self._index_sync.get(video_id)
        await self._my_lists.add(user_id, video_id)

    async def remove_from_list(self, user_id: int, video_id: int) -> None:
        """Remove a video from a user's list. Idempotent, even if the video does not exist."""
        await self._my_lists.delete(user_id, video_id)

    async def rate(self, user_id: int, video_id: int, rating: Rating | None) -> Votes:
        """Set or, with None, remove a user's rating. Return the votes of all users. Raises NotFound."""
        await self._index_sync.get(video_id)
        if rating is None:
            await self._ratings.delete(user_id, video_id)
        else:
            await self._ratings.put(user_id, video_id, rating)
        return await self._ratings.count_votes(video_id)

    async def get_user_state(self, user_id: int, video_id: int) -> UserVideoState:
        """Return the relation of a user to a video."""
        return UserVideoState(
            *await asyncio.gather(
                self._reports.get(user_id, video_id),
                self._ratings.get(user_id, video_id),
                self._ratings.count_votes(video_id),
                self._my_lists.contains(user_id, video_id),
            )
        )

    async def list_popular(self) -> Sequence[int]:
        """Return the ids of popular videos, the most popular first, then newest first."""
        scores = await self._popularity.get_scores()
        newest_first = (await self._index_sync.get_index()).select_ids(Query())
        return sorted(
            (video_id for video_id in newest_first if video_id in scores), key=lambda video_id: -scores[video_id]
        )

    async def list_similar(self, video_id: int) -> Sequence[int]:
        """Return the ids of similar videos, the most similar first. Raises NotFound."""
        video = await self._index_sync.get(video_id)
        return (await self._index_sync.get_index()).find_similar(video)

    async def forget_user(self, user_id: int) -> None:
        """Remove progress, list and ratings of a deleted user. Idempotent."""
        await self._reports.forget_user(user_id)
        await self._my_lists.delete_for_user(user_id)
        await self._ratings.delete_for_user(user_id)

    async def forget_video(self, video_id: int) -> None:
        """Remove a deleted video from the progress, lists and ratings of all users. Idempotent."""
        await self._reports.forget_video(video_id)
        await self._my_lists.delete_for_video(video_id)
        await self._ratings.delete_for_video(video_id)
