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
from videoflix.catalogue.index_sync import IndexSync
from videoflix.catalogue.maintenance import VideoPurge
from videoflix.ports import Engine
from videoflix.stores.counters import CounterStore
from videoflix.stores.file_journal import FileJournalStore
from videoflix.stores.users import UserStore
from videoflix.stores.videos import VideoStore
from videoflix.stores.viewing import MyListStore, ProgressStore, RatingStore
from videoflix.viewing import Viewing
from videoflix.viewing.popularity import Popularity
from videoflix.viewing.progress import ProgressReports
from videoflix.viewing.recent_progress import RecentProgressCache


@dataclass(frozen=True, slots=True)
class CatalogueServices:
    """Services over the same videos."""

    catalogue: Catalogue
    index_sync: IndexSync
    viewing: Viewing
    video_purge: VideoPurge


@asynccontextmanager
async def open_catalogue(
    database: AsyncIOMotorDatabase[dict[str, Any]],
    fail_fast_redis: Redis,
    videos: VideoStore,
    users: UserStore,
    engine: Engine,
    media_root: Path,
) -> AsyncIterator[CatalogueServices]:
    """What was reported and is not written yet is written at the end."""
    progress, my_lists, ratings = ProgressStore(database), MyListStore(database), RatingStore(database)
    deletions = FileJournalStore(database)
    await asyncio.gather(*(store.create_indexes() for store in (videos, deletions, progress, my_lists, ratings)))
    async with AsyncExitStack() as stack:
        listing = IndexSync(videos, engine)
        reports = ProgressReports(
            progress, RecentProgressCache(fail_fast_redis), users.filter_existing, videos.filter_existing
        )
        popularity = Popularity(progress, ratings)
        for service in (listing, popularity, reports):
            stack.push_async_callback(service.close)
        viewing = Viewing(listing, reports, my_lists, ratings, popularity)
        forget = [viewing.forget_video]
        catalogue = Catalogue(videos, deletions, CounterStore(database), engine, listing, media_root, on_delete=forget)
        yield CatalogueServices(catalogue, listing, viewing, VideoPurge(videos, deletions, forget))
