"""The rules of watching: what is begun, what is finished, and who is told what."""

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

_FINISHED_SHARE = 0.95  # of a film: whoever came so far has seen it


@dataclass(frozen=True, slots=True)
class UserVideoState:
    """What a film is to one person, and what all people think of it."""

    progress: WatchProgress | None
    rating: Rating | None
    votes: Votes
    is_on_list: bool


class Viewing:
    """Every list holds playable films alone, so that one that was deleted is in none at once."""

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
        """Somebody is at this second of a film. `duration`, as the player knows it, counts where we know none;
        `finished` overrides what the position says. Raises NotFound."""
        length = (await self._index_sync.get(video_id)).duration or duration or 0.0
        if length:
            position = min(position, length)
        if is_finished is None:
            is_finished = bool(length) and position >= _FINISHED_SHARE * length
        report = WatchProgress(
            user_id=user_id, video_id=video_id, position=position, duration=length, finished=is_finished
        )
        await self._reports.put(report)
        return report

    async def get_progress(self, user_id: int, video_id: int) -> WatchProgress | None:
        """None for a film that was not begun. Raises NotFound."""
        await self._index_sync.get(video_id)
        return await self._reports.get(user_id, video_id)

    async def forget_progress(self, user_id: int, video_id: int) -> None:
        """The film counts as not begun. Safe to repeat, also when the film is gone."""
        await self._reports.forget(user_id, video_id)

    async def list_in_progress(self, user_id: int) -> Sequence[WatchProgress]:
        """Of the films that were begun and not finished, the last watched first."""
        shelf = await self._index_sync.get_index()
        return [report for report in await self._reports.list_in_progress(user_id) if shelf.get(report.video_id)]

    async def get_my_list(self, user_id: int) -> Sequence[int]:
        """Ids, the last added first."""
        shelf = await self._index_sync.get_index()
        return [video_id for video_id in await self._my_lists.list_for_user(user_id) if shelf.get(video_id)]

    async def is_on_list(self, user_id: int, video_id: int) -> bool:
        """Raises NotFound."""
        await self._index_sync.get(video_id)
        return await self._my_lists.contains(user_id, video_id)

    async def add_to_list(self, user_id: int, video_id: int) -> None:
        """Safe to repeat. Raises NotFound."""
        await self._index_sync.get(video_id)
        await self._my_lists.add(user_id, video_id)

    async def remove_from_list(self, user_id: int, video_id: int) -> None:
        """Safe to repeat, also when the film is gone."""
        await self._my_lists.delete(user_id, video_id)

    async def rate(self, user_id: int, video_id: int, rating: Rating | None) -> Votes:
        """None takes the rating back. What all people think of it then. Raises NotFound."""
        await self._index_sync.get(video_id)
        if rating is None:
            await self._ratings.delete(user_id, video_id)
        else:
            await self._ratings.put(user_id, video_id, rating)
        return await self._ratings.count_votes(video_id)

    async def get_user_state(self, user_id: int, video_id: int) -> UserVideoState:
        """What the film is to this user."""
        return UserVideoState(
            *await asyncio.gather(
                self._reports.get(user_id, video_id),
                self._ratings.get(user_id, video_id),
                self._ratings.count_votes(video_id),
                self._my_lists.contains(user_id, video_id),
            )
        )

    async def list_popular(self) -> Sequence[int]:
        """Ids; see `videoflix.viewing.popularity`."""
        scores = await self._popularity.get_scores()
        newest_first = (await self._index_sync.get_index()).select_ids(Query())
        return sorted(
            (video_id for video_id in newest_first if video_id in scores), key=lambda video_id: -scores[video_id]
        )

    async def list_similar(self, video_id: int) -> Sequence[int]:
        """Ids; see `videoflix.catalogue.similar`. Raises NotFound."""
        video = await self._index_sync.get(video_id)
        return (await self._index_sync.get_index()).find_similar(video)

    async def forget_user(self, user_id: int) -> None:
        """Remove all that a user who was deleted held. Safe to repeat."""
        await self._reports.forget_user(user_id)
        await self._my_lists.delete_for_user(user_id)
        await self._ratings.delete_for_user(user_id)

    async def forget_video(self, video_id: int) -> None:
        """Remove a film that was deleted from what everybody holds. Safe to repeat."""
        await self._reports.forget_video(video_id)
        await self._my_lists.delete_for_video(video_id)
        await self._ratings.delete_for_video(video_id)
