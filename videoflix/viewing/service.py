"""The rules of watching: what is begun, what is finished, and who is told what."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from videoflix.catalogue.listing import Listing
from videoflix.catalogue.shelf import Query
from videoflix.models import Progress, Rating, Votes
from videoflix.stores.my_lists import MyListStore
from videoflix.stores.ratings import RatingStore
from videoflix.viewing.popularity import Popularity
from videoflix.viewing.progress import ProgressReports

_CREDITS = 0.95  # of a film: whoever came so far has seen it


@dataclass(frozen=True, slots=True)
class Own:
    """What a film is to one person, and what all people think of it."""

    progress: Progress | None
    rating: Rating | None
    votes: Votes
    is_on_list: bool


class Viewing:
    """Every list holds playable films alone, so that one that was deleted is in none at once."""

    def __init__(
        self,
        listing: Listing,
        reports: ProgressReports,
        my_lists: MyListStore,
        ratings: RatingStore,
        popularity: Popularity,
    ) -> None:
        self._listing = listing
        self._reports = reports
        self._my_lists = my_lists
        self._ratings = ratings
        self._popularity = popularity

    async def report(
        self, user_id: int, video_id: int, position: float, duration: float | None, finished: bool | None
    ) -> Progress:
        """Somebody is at this second of a film. `duration`, as the player knows it, counts where we know none;
        `finished` overrides what the position says. Raises NotFound."""
        length = (await self._listing.get(video_id)).duration or duration or 0.0
        if length:
            position = min(position, length)
        if finished is None:
            finished = bool(length) and position >= _CREDITS * length
        report = Progress(user_id=user_id, video_id=video_id, position=position, duration=length, finished=finished)
        await self._reports.put(report)
        return report

    async def progress(self, user_id: int, video_id: int) -> Progress | None:
        """None for a film that was not begun. Raises NotFound."""
        await self._listing.get(video_id)
        return await self._reports.get(user_id, video_id)

    async def forget_progress(self, user_id: int, video_id: int) -> None:
        """The film counts as not begun. Safe to repeat, also when the film is gone."""
        await self._reports.forget(user_id, video_id)

    async def begun(self, user_id: int) -> Sequence[Progress]:
        """Of the films that were begun and not finished, the last watched first."""
        shelf = await self._listing.shelf()
        return [report for report in await self._reports.begun(user_id) if shelf.get(report.video_id)]

    async def my_list(self, user_id: int) -> Sequence[int]:
        """Ids, the last added first."""
        shelf = await self._listing.shelf()
        return [video_id for video_id in await self._my_lists.of_user(user_id) if shelf.get(video_id)]

    async def is_on_list(self, user_id: int, video_id: int) -> bool:
        """Raises NotFound."""
        await self._listing.get(video_id)
        return await self._my_lists.has(user_id, video_id)

    async def put_on_list(self, user_id: int, video_id: int) -> None:
        """Safe to repeat. Raises NotFound."""
        await self._listing.get(video_id)
        await self._my_lists.add(user_id, video_id)

    async def take_off_list(self, user_id: int, video_id: int) -> None:
        """Safe to repeat, also when the film is gone."""
        await self._my_lists.remove(user_id, video_id)

    async def rate(self, user_id: int, video_id: int, rating: Rating | None) -> Votes:
        """None takes the rating back. What all people think of it then. Raises NotFound."""
        await self._listing.get(video_id)
        if rating is None:
            await self._ratings.remove(user_id, video_id)
        else:
            await self._ratings.put(user_id, video_id, rating)
        return await self._ratings.votes(video_id)

    async def own(self, user_id: int, video_id: int) -> Own:
        """What the film is to this user."""
        return Own(
            *await asyncio.gather(
                self._reports.get(user_id, video_id),
                self._ratings.get(user_id, video_id),
                self._ratings.votes(video_id),
                self._my_lists.has(user_id, video_id),
            )
        )

    async def popular(self) -> Sequence[int]:
        """Ids; see `videoflix.viewing.popularity`."""
        scores = await self._popularity.scores()
        newest_first = (await self._listing.shelf()).choose(Query())
        return sorted(
            (video_id for video_id in newest_first if video_id in scores), key=lambda video_id: -scores[video_id]
        )

    async def similar(self, video_id: int) -> Sequence[int]:
        """Ids; see `videoflix.catalogue.similar`. Raises NotFound."""
        video = await self._listing.get(video_id)
        return (await self._listing.shelf()).similar(video)

    async def forget_user(self, user_id: int) -> None:
        """Remove all that a user who was deleted held. Safe to repeat."""
        await self._reports.forget_user(user_id)
        await self._my_lists.forget_user(user_id)
        await self._ratings.forget_user(user_id)

    async def forget_video(self, video_id: int) -> None:
        """Remove a film that was deleted from what everybody holds. Safe to repeat."""
        await self._reports.forget_video(video_id)
        await self._my_lists.forget_video(video_id)
        await self._ratings.forget_video(video_id)
