"""What one task wrote and the next one does not find: it is made again, and the film knows nothing of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.transcode import rules, sources
from tests.transcode.obey import film_of
from tests.transcode.studio import Studio, Watch
from tests.transcode.support import MemoryBook, at_work, ended, job_of, open_ledger, until
from transcode import layout, schedule
from transcode.engine import Engine, SegmentFailed
from transcode.errors import Lost, MediaError, Stopped
from transcode.ledger import Ledger, NewTask, State
from transcode.runner import Run
from transcode.tasks.work import perform
from transcode.tools import Tools


async def begin(ledger: Ledger, book: MemoryBook) -> None:
    book.add(1, film_of(20, sound=True))
    await ledger.start(1, [schedule.probe()], schedule.finish())


async def test_sound_that_vanishes_is_made_again_and_costs_no_attempt(redis_url, io_loop, tmp_path, book, orders):
    orders.give("chunk", "work")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path, slots=2):
        await begin(ledger, book)
        await until(lambda: "audio:0" in book.told and len(orders.began("chunk")) == 2)
        shutil.rmtree(layout.audio_dir(tmp_path, 1))
        orders.take_back("chunk")
        await ended(ledger, 1)
        assert (book.status[1], book.films[1].chunks_done) == ("ready", {0, 1, 2})
        assert len(orders.began("audio")) == 2
        assert {task.attempts for task in (await job_of(ledger, 1)).tasks} == {1}


async def test_what_is_lost_again_and_again_fails_the_film_after_all_or_is_gone_without(
    redis_url, io_loop, tmp_path, book, orders
):
    orders.give("chunk", "lose")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        book.add(1, film_of(4))
        await ledger.start(1, [schedule.probe()], schedule.finish())
        await until(lambda: book.status[1] == "failed: A file of this film is gone.")
        assert len(orders.began("chunk")) == 5
        orders.take_back("chunk")
        orders.give("thumbnail", "lose")
        book.add(2, film_of(4))
        await ledger.start(2, [schedule.probe()], schedule.finish())
        await until(lambda: book.status[2] == "ready")


async def test_files_of_a_film_that_was_deleted_are_no_loss(redis_url, io_loop, tmp_path, book, orders):
    orders.give("chunk", "work")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        await begin(ledger, book)
        await until(lambda: orders.began("chunk"))
        book.delete(1)
        orders.give("chunk", "lose")
        await ended(ledger, 1, State.CANCELLED)
        assert len(orders.began("probe")) == 1


async def test_nothing_is_taken_for_lost_while_the_source_is_away_too(redis_url, io_loop, tmp_path, book, orders):
    orders.give("segment", "lose")
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path):
        book.add(1, film_of(8), chunks=[0, 1])
        await book.finished(1, {})
        engine = Engine(ledger, tmp_path)
        with pytest.raises(SegmentFailed, match="is gone"):
            await engine.want_segment(1, "480p", 1)
        await engine.close()
        assert book.films[1].chunks_done == {0, 1}


@pytest.fixture(scope="module")
def source(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without an index, so that work is done on a copy."""
    made = tmp_path_factory.mktemp("losses") / "film.ts"
    sources.ffmpeg(tools, *sources.picture(), *sources.beeps(), *sources.H264, *sources.AAC, str(made))
    return made


async def test_a_film_outlives_the_loss_of_everything_but_its_source(redis_url, io_loop, tmp_path, book, source, tools):
    studio = Studio(tmp_path, source, tools)
    timeline = studio.probe()
    assert timeline.remuxed
    studio.sound()
    studio.do("chunk", 0)
    shutil.rmtree(layout.scratch_dir(tmp_path, 1))  # the copy and the sound
    book.add(1, timeline, chunks=[0])
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "1.mp4").symlink_to(source)
    hands = {"tools": tools, "perform": perform}
    async with open_ledger(redis_url) as ledger, at_work(ledger, book, tmp_path, **hands):
        await ledger.start(1, [NewTask("chunk:0001", "chunk", 1)], schedule.finish())
        await ended(ledger, 1)
        assert book.status[1] == "ready"
        shutil.rmtree(studio.folder)
        engine = Engine(ledger, tmp_path)
        await engine.want_segment(1, "480p", 1)
        await engine.close()
        await ended(ledger, 1)
        await until(lambda: "finish" in book.films[1].done_kinds)
        assert book.status[1] == "ready"
        rules.check(studio.folder, tools)


def test_a_task_says_what_it_lost_and_a_probe_brings_the_copy_back(tools: Tools, tmp_path: Path, source: Path) -> None:
    film = Studio(tmp_path, source, tools)
    film.probe()
    copy = layout.remuxed_path(tmp_path, 1)
    copy.unlink()
    for kind in ("audio", "chunk", "segment", "thumbnail"):
        with pytest.raises(Lost, match="The copy of this film"):
            film.do(kind, rendition="480p")
    film.probe()
    assert copy.exists()
    with pytest.raises(Lost, match="The sound of this part"):
        film.do("chunk")
    film.sound()
    shutil.rmtree(film.folder)
    with pytest.raises(Lost):
        film.do("chunk")


def test_a_task_that_is_given_away_while_its_encoder_ends_publishes_nothing(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "film.mp4"
    sources.ffmpeg(tools, *sources.picture(seconds=1), *sources.H264, str(made))
    film, watch, run = Studio(tmp_path, made, tools), Watch(), Run.__call__
    film.probe()

    def paused_at_its_end(self: Run) -> str:
        said = run(self)
        monkeypatch.setattr(watch, "stopped", lambda: True)
        return said

    monkeypatch.setattr(Run, "__call__", paused_at_its_end)
    with pytest.raises(Stopped):
        film.do("chunk", watch=watch)
    assert not any(segment.exists() for segment in film.segments())


def test_an_upload_that_is_gone_is_no_loss_that_can_be_made_good(tools: Tools, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="uploaded is gone") as refused:
        Studio(tmp_path, tmp_path / "nothing.mp4", tools).probe()
    assert not isinstance(refused.value, Lost)
