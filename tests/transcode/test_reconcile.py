from __future__ import annotations

from dataclasses import replace

from tests.transcode.obey import film_of
from tests.transcode.support import MemoryBook, open_ledger
from transcode import schedule
from transcode.ledger import Lane, Lease, State
from transcode.worker import reconcile
from transcode.worker.reconcile import Reconciler


async def test_every_unfinished_film_has_a_job_and_no_other_film_has(redis_url, io_loop, tmp_path):
    book = MemoryBook()
    async with open_ledger(redis_url) as ledger:
        for film in (1, 2, 3, 4):
            book.add(film, film_of(8))
        await ledger.start(2, [schedule.probe()], schedule.finish())
        await ledger.start(3, [schedule.probe()], schedule.finish())
        await ledger.start(4, [schedule.probe()], schedule.finish())
        await ledger.start(5, [schedule.probe()], schedule.finish())  # deleted while Redis was away
        await book.failed(3, "The work was cancelled.")
        await book.finished(4, {})  # told before its job was settled, as ever
        for _ in range(2):
            await Reconciler(ledger, book, tmp_path).once()
            assert await ledger.states([1, 2, 3, 4, 5]) == {
                1: State.QUEUED,
                2: State.QUEUED,
                3: State.CANCELLED,
                4: State.QUEUED,
                5: State.CANCELLED,
            }
        job = await ledger.job(1)
        assert job is not None
        assert [task.id for task in job.tasks] == ["probe"]


async def test_the_catalogue_is_told_why_a_job_is_dead(redis_url, io_loop, tmp_path):
    book = MemoryBook()
    async with open_ledger(redis_url) as ledger:
        book.add(1)
        await ledger.start(1, [schedule.probe()], schedule.finish())
        lease = await ledger.claim([Lane.OPENING], "w")
        assert isinstance(lease, Lease)
        await ledger.fail(lease, "This file is empty.", hopeless=True)
        await Reconciler(ledger, book, tmp_path).once()
        assert book.status[1] == "failed: This file is empty."
        await Reconciler(ledger, book, tmp_path).once()
        assert (await ledger.states([1]))[1] is State.DEAD


async def test_a_film_that_nobody_can_make_sense_of_keeps_no_other_from_being_looked_after(
    redis_url, io_loop, tmp_path, monkeypatch, caplog
):
    book = MemoryBook()
    async with open_ledger(redis_url) as ledger:
        for film in (1, 2, 3):
            book.add(film, film_of(8))
        for film in (1, 3):
            await ledger.start(film, [schedule.probe()], schedule.finish())
            lease = await ledger.claim([Lane.OPENING], "w")
            assert isinstance(lease, Lease)
            await ledger.fail(lease, "No film.", hopeless=True)
        tell = book.failed

        async def stumble(film: int, sentence: str) -> None:
            if film == 1:
                raise TypeError("what is this?")
            await tell(film, sentence)

        monkeypatch.setattr(book, "failed", stumble)
        await Reconciler(ledger, book, tmp_path).once()
        assert await ledger.states([2]) == {2: State.QUEUED}
        assert book.status[3].startswith("failed")
        assert "film_skipped film=1" in caplog.text


async def test_a_finished_film_that_lost_files_is_mended_if_that_can_be_done(redis_url, io_loop, tmp_path):
    book = MemoryBook()
    async with open_ledger(redis_url) as ledger:
        for film in (1, 2, 3, 4):
            book.add(film, film_of(8), chunks=[0, 1])
            await book.finished(film, {})
            (tmp_path / "videos").mkdir(exist_ok=True)
            (tmp_path / "videos" / f"{film}.mp4").touch()
        (tmp_path / "videos" / "2.mp4").unlink()
        book.films[4] = replace(book.films[4], chunks_done=frozenset(), done_kinds=frozenset())
        await book.finished(4, {})  # a chunk was lost just before that
        await ledger.start(3, [schedule.probe()], schedule.finish())
        lease = await ledger.claim([Lane.OPENING], "w")
        assert isinstance(lease, Lease)
        await ledger.fail(lease, "This was tried before.", hopeless=True)
        await Reconciler(ledger, book, tmp_path).once()
        assert await ledger.states([1, 2, 3, 4]) == {1: State.QUEUED, 3: State.DEAD, 4: State.QUEUED}
        assert (book.status[1], book.films[1].chunks_done, book.films[1].done_kinds) == ("ready", set(), set())
        assert book.films[2].chunks_done == {0, 1}


async def test_all_finished_films_are_looked_at_in_turn(redis_url, io_loop, tmp_path, monkeypatch):
    seen: list[int] = []
    monkeypatch.setattr(reconcile, "losses", lambda entry, root: seen.append(entry.film))
    monkeypatch.setattr(schedule, "is_done", lambda entry: True)
    book = MemoryBook()
    async with open_ledger(redis_url) as ledger:
        for film in range(1, 26):
            book.add(film, film_of(8))
            await book.finished(film, {})
        reconciler = Reconciler(ledger, book, tmp_path)
        for _ in range(5):
            await reconciler.once()
            assert not await ledger.at_work()
    assert seen == [*range(1, 26), *range(1, 11)]
