"""The collection of ratings: up or down."""

from __future__ import annotations

from collections.abc import Mapping

from videoflix.models import Rating, Votes, now
from videoflix.stores.viewers import ViewerStore, key


class RatingStore(ViewerStore):
    """One document for each film that a user has rated."""

    collection = "ratings"

    async def create_indexes(self) -> None:
        """Safe to repeat."""
        await super().create_indexes()
        await self._documents.create_index("user_id")

    async def put(self, user_id: int, video_id: int, rating: Rating) -> None:
        """The user's only rating of this film from now on."""
        fields = {"user_id": user_id, "video_id": video_id, "rating": rating.value, "rated_at": now()}
        await self._documents.update_one({"_id": key(user_id, video_id)}, {"$set": fields}, upsert=True)

    async def get(self, user_id: int, video_id: int) -> Rating | None:
        """None when the user has not rated it."""
        document = await self._documents.find_one({"_id": key(user_id, video_id)})
        return Rating(document["rating"]) if document else None

    async def votes(self, video_id: int) -> Votes:
        """How many rated this film up and down."""
        return (await self._votes({"video_id": video_id})).get(video_id, Votes(0, 0))

    async def all_votes(self) -> Mapping[int, Votes]:
        """Of every film that was rated."""
        return await self._votes({})

    async def _votes(self, wanted: Mapping[str, object]) -> Mapping[int, Votes]:
        ups = {"$sum": {"$cond": [{"$eq": ["$rating", Rating.UP.value]}, 1, 0]}}
        group = {"$group": {"_id": "$video_id", "ups": ups, "all": {"$sum": 1}}}
        counted = self._documents.aggregate([{"$match": wanted}, group])
        return {found["_id"]: Votes(found["ups"], found["all"] - found["ups"]) async for found in counted}
