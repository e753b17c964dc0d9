"""What the engine is told by the real catalogue."""

from __future__ import annotations

from transcode.ledger import Ledger
from videoflix.composition.films import CatalogueBook
from videoflix.composition.root import open_clients
from videoflix.models import Video
from videoflix.settings import Settings
from videoflix.stores.deletions import DeletionStore
from videoflix.stores.videos import VideoStore


async def test_a_deletion_that_went_no_further_than_its_announcement_takes_no_film_away(settings: Settings, io_loop):
    async with open_clients(settings) as clients:
        videos, deletions = VideoStore(clients.database), DeletionStore(clients.database)
        book = CatalogueBook(videos, deletions, Ledger(clients.redis))
        await videos.add(Video(id=1, title="A film", source="videos/1.mp4"))
        for film in (1, 2):
            await deletions.add(film, f"videos/{film}.mp4")
        assert await book.deleted() == [(2, "videos/2.mp4")]
        await videos.delete(1)
        assert sorted(await book.deleted()) == [(1, "videos/1.mp4"), (2, "videos/2.mp4")]
