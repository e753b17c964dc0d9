from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.transcode.obey import film_of
from tests.transcode.quick import QUICK
from tests.transcode.support import MemoryBook, open_ledger
from transcode import layout, schedule
from transcode.ledger import Lane, Lease, Ledger
from transcode.worker.sweep import Sweeper
from videoflix.uploads import Uploads


def put(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"x")
    return place


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


async def claimed(ledger: Ledger, book: MemoryBook) -> Lease:
    """The probe of film 1, at work."""
    book.add(1, film_of(8))
    await ledger.start(1, [schedule.probe()], schedule.finish())
    lease = await ledger.claim([Lane.OPENING], "w")
    assert isinstance(lease, Lease)
    return lease


async def test_attempts_without_a_lease_are_removed_and_so_is_the_scratch_of_films_that_are_not_in_work(
    redis_url, io_loop, tmp_path
):
    book = MemoryBook()
    async with open_ledger(redis_url) as ledger:
        lease = await claimed(ledger, book)
        kept = {
            put(layout.attempt_dir(tmp_path, 1, lease.token) / "0000.ts"),
            put(layout.audio_path(tmp_path, 1, 0)),
            put(tmp_path / "hls" / "7" / "480p" / "0000.ts"),
            put(tmp_path / "videos" / "7.mp4"),
            put(tmp_path / "scratch" / "uploads" / "growing"),
        }
        put(layout.attempt_dir(tmp_path, 1, "dead") / "0000.ts")
        put(layout.attempt_dir(tmp_path, 7, "dead") / "0000.ts")
        put(layout.audio_path(tmp_path, 7, 0))
        put(layout.remuxed_path(tmp_path, 7))
        await Sweeper(ledger, book, tmp_path).once()
        assert files(tmp_path) == {str(path.relative_to(tmp_path)) for path in kept}
        assert not layout.scratch_dir(tmp_path, 7).exists()


async def test_a_film_that_is_tried_again_at_this_moment_keeps_its_sound(redis_url, io_loop, tmp_path, monkeypatch):
    book, answers = MemoryBook(), [[], [1]]

    async def unfinished() -> list[int]:
        return answers.pop(0)

    monkeypatch.setattr(book, "unfinished", unfinished)
    async with open_ledger(redis_url) as ledger:
        sound = put(layout.audio_path(tmp_path, 1, 0))
        await Sweeper(ledger, book, tmp_path).once()
        assert sound.exists()
        assert answers == []


async def test_what_comes_in_late_for_a_deleted_film_is_removed(redis_url, io_loop, tmp_path):
    book = MemoryBook()
    async with open_ledger(redis_url) as ledger:
        lease = await claimed(ledger, book)
        book.delete(1)
        places = [
            layout.segment_path(tmp_path, 1, "480p", 0),
            layout.thumbnail_path(tmp_path, 1),
            layout.audio_path(tmp_path, 1, 0),
            tmp_path / "videos" / "1.mp4",
        ]
        for place in places:
            put(place)
        other = put(layout.segment_path(tmp_path, 2, "480p", 0))
        sweeper = Sweeper(ledger, book, tmp_path)
        await sweeper.once()  # a worker still writes: its task is cancelled, and then looked after again
        await ledger.release(lease)
        await sweeper.once()
        assert files(tmp_path) == {str(other.relative_to(tmp_path))}
        assert await ledger.job(1) is None


async def test_uploads_that_nobody_continues_are_removed(redis_url, io_loop, tmp_path):
    places = [put(layout.uploads_dir(tmp_path) / name) for name in ("abandoned", "grows")]
    left = []
    with places[1].open("ab") as growing:
        Uploads.claim(growing)
        for minutes, a_day in ((300.0, 3600.0), (-1.0, 3600.0), (-1.0, -1.0)):
            times = replace(QUICK, abandoned_upload=minutes, keep_upload=a_day)
            async with open_ledger(redis_url, times) as ledger:
                await Sweeper(ledger, MemoryBook(), tmp_path).once()
            left.append(sorted(place.name for place in places if place.exists()))
    assert left == [["abandoned", "grows"], ["grows"], []]
