"""What can happen to a worker, its children and its servers; after each, the film is there, and nothing else."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path

import m3u8
import psutil
import pytest

from tests.acceptance.workshop import Workshop, eventually, make_film, small_disk, workshop
from tests.tools import FfmpegTools
from tests.transcode.support import scratch_of
from transcode.hls.transport import first_picture_size
from videoflix.embedded import processes, servers
from videoflix.errors import Conflict, NotFound
from videoflix.settings import Settings

pytestmark = pytest.mark.usefixtures("io_loop")


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory, ffmpeg_tools: FfmpegTools) -> Path:
    return make_film(ffmpeg_tools, tmp_path_factory.mktemp("films") / "film.mp4")


@pytest.fixture
def shop(io_loop, settings: Settings, tmp_path: Path, film: Path, ffmpeg_tools: FfmpegTools):
    stack = AsyncExitStack()

    async def opened() -> Workshop:
        return await stack.enter_async_context(workshop(settings, tmp_path, film, ffmpeg_tools))

    yield io_loop.run_sync(opened)
    io_loop.run_sync(stack.aclose)


async def test_a_worker_that_is_killed_or_told_to_go_at_the_beginning_in_the_middle_and_at_the_end(shop: Workshop):
    film = await shop.take_in()
    worker = shop.start_worker()

    async def begins() -> bool:
        return any(task["state"] != "queued" for task in (await shop.tasks(film)).values())

    await eventually(begins)
    worker.end(signal.SIGKILL)

    worker = shop.start_worker()
    await worker.halt("chunk:0001")
    worker.end(signal.SIGKILL)
    finished = await shop.finished(film)
    assert "480p/0001.ts" not in finished

    worker = shop.start_worker()
    await worker.halt("chunk:0002")
    begin = time.monotonic()
    worker.end(signal.SIGTERM)
    assert worker.process.returncode == 0
    assert time.monotonic() - begin < 10
    chunk = (await shop.tasks(film))["chunk:0002"]
    assert (chunk["state"], chunk["attempts"]) == ("queued", 0)  # given back, which costs no attempt
    finished = await shop.finished(film)  # chunk 1 may still wait for its next attempt
    assert "480p/0000.ts" in finished

    worker = shop.start_worker()

    async def all_but_finished() -> bool:
        return len((await shop.video(film)).chunks_done) == 4

    await eventually(all_but_finished)
    worker.end(signal.SIGKILL)

    shop.start_worker()
    await shop.check(film)
    assert finished.items() <= shop.published(film).items()  # no finished chunk was made again


async def test_children_and_programs_that_are_killed_or_hang(shop: Workshop):
    film = await shop.take_in()
    worker = shop.start_worker(stall=3)
    (await worker.halt("chunk:0000")).kill()
    hand = (await worker.halt("chunk:0001")).parent()
    assert hand is not None
    hand.kill()
    hanging = await worker.halt("chunk:0002")
    await shop.check(film)
    failed = re.findall(r"task_failed film=1 task=(\S+) attempt=1 hopeless=False: (.*?)\"", worker.text)
    assert ("chunk:0000", "The encoder was killed.") in failed
    assert ("chunk:0001", "A process of the pool was killed.") in failed
    assert ("chunk:0002", "The work was stopped: its progress stands still.") in failed
    assert worker.text.count("killed.") == 2  # each once: on a busy machine others may seem to stand still, too
    assert not hanging.is_running()


async def test_two_workers_share_a_film_and_one_that_stood_still_comes_back(shop: Workshop):
    film = await shop.take_in()
    first = shop.start_worker()
    await first.halt("chunk:0001")
    first.freeze()
    shop.start_worker()
    await shop.status(film, "ready")
    done = shop.published(film)
    first.thaw()

    async def knows() -> bool:
        return "task_let_go" in first.text and first.encoders() == []

    await eventually(knows, shop.said)
    await shop.check(film)
    assert shop.published(film) == done  # it came back, and changed nothing
    assert first.process.poll() is None


@pytest.mark.parametrize("stands_still", [False, True])
async def test_a_film_that_is_deleted_in_the_middle_leaves_nothing(shop: Workshop, stands_still: bool):
    film = await shop.take_in()
    worker = shop.start_worker()
    await worker.halt("chunk:0001")
    if stands_still:
        worker.freeze()
    await shop.services.catalogue.delete(film)
    worker.thaw()

    async def is_gone() -> bool:
        root = shop.settings.media_root
        left = [name for _, _, names in os.walk(root) for name in names]
        return not left and scratch_of(root) == [] and worker.encoders() == [] and "task_let_go" in worker.text

    await eventually(is_gone, shop.said)
    with pytest.raises(NotFound):
        await shop.video(film)


async def test_a_cancel_that_races_the_end_leaves_a_film_that_is_ready_or_one_that_can_be_tried_again(
    shop: Workshop, tmp_path: Path, ffmpeg_tools: FfmpegTools
):
    short = make_film(ffmpeg_tools, tmp_path / "short.mp4", seconds=2)
    worker = shop.start_worker()
    for pause in (0.0, 0.02):
        film = await shop.take_in(short)
        await eventually(lambda film=film: shop.is_nearly_done(film), shop.said)
        await asyncio.sleep(pause)
        with suppress(Conflict):  # it was ready first
            await shop.services.catalogue.cancel(film)
        await eventually(lambda film=film: shop.is_idle(film), shop.said)
        if (await shop.video(film)).status == "failed":
            assert (await shop.video(film)).error == "The work was cancelled."
            await shop.services.catalogue.retry(film)
        await shop.check(film)
    assert worker.encoders() == []


async def test_a_cancel_stops_the_work_and_a_retry_goes_on_from_there(shop: Workshop):
    film = await shop.take_in()
    worker = shop.start_worker()

    async def has_begun() -> bool:
        return bool((await shop.video(film)).chunks_done)

    await eventually(has_begun, shop.said)
    await worker.halt()
    await shop.services.catalogue.cancel(film)

    async def is_still() -> bool:
        return worker.encoders() == [] and await shop.is_idle(film)

    await eventually(is_still, shop.said)
    done = await shop.finished(film)
    assert done
    await shop.services.catalogue.retry(film)
    await shop.check(film)
    assert done.items() <= shop.published(film).items()


async def test_files_that_are_no_films_fail_with_their_reasons_and_the_worker_is_as_well_as_before(
    shop: Workshop, tmp_path: Path, film: Path
):
    whole = film.read_bytes()
    hostile = {
        "This file is empty.": b"",
        "This file is not a film": f"ffconcat version 1.0\nfile {film}\n".encode(),
        "This film is incomplete": whole[: len(whole) // 2],
        "This film is damaged": b"".join(b"G" + bytes(187) for _ in range(400)) + os.urandom(400_000),
    }
    numbers = {}
    for sentence, content in hostile.items():
        source = tmp_path / "film.mp4"
        source.write_bytes(content)
        numbers[await shop.take_in(source)] = sentence
        source.unlink()
    worker = shop.start_worker()
    for number, sentence in numbers.items():
        await shop.status(number, "failed", 30)
        assert ((await shop.video(number)).error or "").startswith(sentence)
        assert not (shop.settings.media_root / "hls" / str(number)).exists()
    number = await shop.take_in(make_film(shop.tools, tmp_path / "short.mp4", seconds=2))
    await shop.check(number)
    assert worker.process.poll() is None


async def test_what_a_finished_film_lost_comes_back_as_it_was(shop: Workshop, tmp_path: Path, film: Path):
    words, source = tmp_path / "words.srt", tmp_path / "film.mkv"
    words.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    maps = [option for stream in ("0:v", "0:a", "0:a", "1") for option in ("-map", stream)]
    copy = ["-i", str(film), "-i", str(words), *maps, "-t", "10", "-c", "copy", "-c:s", "srt", str(source)]
    subprocess.run([shop.tools.ffmpeg, "-v", "error", "-nostdin", *copy], check=True)
    number = await shop.take_in(source)
    worker = shop.start_worker()
    await shop.check(number)
    root, folder = shop.settings.media_root, shop.settings.media_root / "hls" / str(number)
    whole = _names(folder)
    (folder / "480p" / "0001.ts").unlink()
    await shop.services.engine.want_segment(number, "480p", 1, user=1)

    async def is_whole_again() -> bool:
        assert (await shop.video(number)).status == "ready"  # all the time
        return _names(folder) == whole and scratch_of(root) == [] and _fits(folder / "480p")

    await eventually(is_whole_again, shop.said)
    assert "chunk_lost" in worker.text
    for lost in ("480p/0002.ts", "480p/iframes.m3u8", "audio1/0000.ts", "subs1/index.m3u8", "storyboard/0000.jpg"):
        (folder / lost).unlink()
    await eventually(is_whole_again, shop.said)


def _names(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*")}


def _fits(folder: Path) -> bool:
    """All segments are of the bulk work, and the I-frame playlist tells of these very ones."""
    frames = [f"{frame.byterange} {frame.uri}" for frame in m3u8.load(str(folder / "iframes.m3u8")).segments]
    segments = sorted(folder.glob("*.ts"))
    assert any(b"crf=22.2" in file.read_bytes() for file in segments)  # x264 says so in its first frame
    hasty = [file for file in segments if b"crf=23" in file.read_bytes()]
    return not hasty and frames == [f"{first_picture_size(file)}@0 {file.name}" for file in segments]


@pytest.fixture
def own_redis(tmp_path: Path, settings: Settings):
    """A Redis that the test may kill: its settings, and what starts it again."""
    home = tmp_path / "redis-home"
    home.mkdir()
    server = servers.redis(home)
    child = [processes.spawn(server.argv, server.log)]
    _answers(server)

    def again(*, empty: bool) -> None:
        child[0].kill()
        child[0].wait()
        if empty:
            for file in (home / "redis").iterdir():
                if file.name != "redis.conf":
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
        time.sleep(0.5)  # long enough for renewals to fail
        child[0] = processes.spawn(server.argv, server.log)
        _answers(server)

    yield settings.model_copy(update={"redis_url": type(settings.redis_url)(server.url)}), again
    processes.stop(child[0])


def _answers(server: servers.Server) -> None:
    deadline = time.monotonic() + 20
    while not server.answers():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_redis_is_killed_and_comes_back_with_its_data_and_then_without(
    own_redis, tmp_path: Path, film: Path, ffmpeg_tools: FfmpegTools
):
    settings, again = own_redis
    async with workshop(settings, tmp_path, film, ffmpeg_tools) as shop:
        number = await shop.take_in()
        worker = shop.start_worker()
        encoder = await worker.halt("chunk:0001")
        await asyncio.to_thread(again, empty=False)
        assert encoder.is_running()  # its lease is what it was
        encoder.resume()
        encoder = await worker.halt("chunk:0002")
        done = await shop.finished(number)
        assert len(done) == 3
        await asyncio.to_thread(again, empty=True)
        await shop.check(number)
        assert done.items() <= shop.published(number).items()
        assert "chunk:0001" not in await shop.tasks(number)  # the new job had no need of it
        assert not encoder.is_running()
        assert worker.process.poll() is None


async def test_the_database_is_restarted_in_the_middle(
    tmp_path: Path, settings: Settings, film: Path, ffmpeg_tools: FfmpegTools
):
    home = tmp_path / "database-home"
    home.mkdir()
    server = servers.database(home)
    with ExitStack() as stack:
        child = processes.spawn(server.argv, server.log)
        stack.callback(lambda: processes.stop(child))
        _answers(server)
        settings = settings.model_copy(update={"mongodb_uri": type(settings.mongodb_uri)(server.url)})
        async with workshop(settings, tmp_path, film, ffmpeg_tools) as shop:
            number = await shop.take_in()
            worker = shop.start_worker()
            encoder = await worker.halt("chunk:0001")
            child.kill()
            child.wait()
            encoder.resume()
            await asyncio.sleep(1)
            child = processes.spawn(server.argv, server.log)
            await asyncio.to_thread(_answers, server)
            await shop.check(number)
            assert worker.process.poll() is None
            tasks = await shop.tasks(number)
            assert {task["attempts"] for name, task in tasks.items() if name.startswith("chunk")} == {1}


@pytest.mark.parametrize("reserve", [0, 4])
async def test_a_full_disk_is_shown_and_waited_for(
    tmp_path: Path, settings: Settings, film: Path, ffmpeg_tools: FfmpegTools, reserve: int
):
    """Without a reserve ffmpeg itself runs into the end of the disk; with one, the worker stops before that."""
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(small_disk(tmp_path / "disk", 32))
        except OSError as error:
            pytest.skip(f"no volume can be mounted here: {error}")
        settings = settings.model_copy(update={"media_root": disk, "min_free_gib": reserve / 1024})
        async with workshop(settings, tmp_path, film, ffmpeg_tools) as shop:
            number = await shop.take_in()
            ballast = disk / "ballast"
            free = shutil.disk_usage(disk).free
            ballast.write_bytes(b"\0" * (free - (3 if reserve else 1) * 1024**2))
            worker = shop.start_worker()

            async def waits() -> bool:
                work = (await shop.services.engine.progress([number])).get(number)
                return work is not None and work.waits_for == "free disk space"

            await eventually(waits, shop.said)
            assert (await shop.video(number)).status == "processing"
            if reserve:
                assert psutil.disk_usage(str(disk)).free > 0
            ballast.unlink()
            await shop.check(number)
            assert all(task["attempts"] == 1 for task in (await shop.tasks(number)).values())
            assert worker.process.poll() is None
            worker.end()
