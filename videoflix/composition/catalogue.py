"""The catalogue, its listing and what people watch of it: they share stores, and closing them has an order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from redis.asyncio import Redis

from videoflix.catalogue import Catalogue
from videoflix.catalogue.leftovers import Leftovers
from videoflix.catalogue.listing import Listing
from videoflix.ports import Engine
from videoflix.stores.counters import CounterStore
from videoflix.stores.deletions import DeletionStore
from videoflix.stores.my_lists import MyListStore
from videoflix.stores.progress import ProgressStore
from videoflix.stores.ratings import RatingStore
from videoflix.stores.users import UserStore
from videoflix.stores.videos import VideoStore
from videoflix.viewing import Viewing
from videoflix.viewing.bulletin import Bulletin
from videoflix.viewing.popularity import Popularity
from videoflix.viewing.progress import ProgressReports


@dataclass(frozen=True, slots=True)
class Catalogued:
    """Services over the same videos."""

    catalogue: Catalogue
    listing: Listing
    viewing: Viewing
    leftovers: Leftovers


@asynccontextmanager
async def open_catalogue(
    database: AsyncIOMotorDatabase[dict[str, Any]],
    channel: Redis,
    videos: VideoStore,
    users: UserStore,
    engine: Engine,
    root: Path,
) -> AsyncIterator[Catalogued]:
    """What was reported and is not written yet is written at the end."""
    progress, my_lists, ratings = ProgressStore(database), MyListStore(database), RatingStore(database)
    deletions = DeletionStore(database)
    await asyncio.gather(*(store.create_indexes() for store in (videos, deletions, progress, my_lists, ratings)))
    async with AsyncExitStack() as stack:
        listing = Listing(videos, engine)
        reports = ProgressReports(progress, Bulletin(channel), users.existing, videos.existing)
        popularity = Popularity(progress, ratings)
        for service in (listing, popularity, reports):
            stack.push_async_callback(service.close)
        viewing = Viewing(listing, reports, my_lists, ratings, popularity)
        forget = [viewing.forget_video]
        catalogue = Catalogue(videos, deletions, CounterStore(database), engine, listing, root, on_delete=forget)
        yield Catalogued(catalogue, listing, viewing, Leftovers(videos, deletions, forget))
