"""What can happen to a worker, its children and its servers; after each, the film is there, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path
from typing import Protocol

import m3u8
import psutil
import pytest

from tests.support.disks import small_disk
from tests.support.event_loop import RunAsync
from tests.support.waiting import wait_until
from tests.support.worker_site import WorkerSite, make_video_file, open_worker_site
from tests.support.workers import scratch_files
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.probe.mpegts import first_picture_size
from videoflix.embedded import processes, servers
from videoflix.errors import Conflict, NotFound
from videoflix.settings import Settings


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory, tools: FfmpegBinaries) -> Path:
    return make_video_file(tools, tmp_path_factory.mktemp("films") / "film.mp4")


@pytest.fixture
def site(
    run_async: RunAsync, settings: Settings, tmp_path: Path, film: Path, tools: FfmpegBinaries
) -> Iterator[WorkerSite]:
    stack = AsyncExitStack()

    async def opened() -> WorkerSite:
        return await stack.enter_async_context(open_worker_site(settings, tmp_path, film, tools))

    yield run_async(opened)
    run_async(stack.aclose)


async def test_a_worker_may_be_killed_or_stopped_at_any_stage(site: WorkerSite) -> None:
    film = await site.import_video()
    worker = site.start_worker()

    async def begins() -> bool:
        return any(task["state"] != "queued" for task in (await site.tasks(film)).values())

    await wait_until(begins)
    worker.stop(signal.SIGKILL)

    worker = site.start_worker()
    await worker.suspend_encoder("chunk:0001")
    worker.stop(signal.SIGKILL)
    finished = await site.finished(film)
    assert "480p/0001.ts" not in finished

    worker = site.start_worker()
    await worker.suspend_encoder("chunk:0002")
    begin = time.monotonic()
    worker.stop(signal.SIGTERM)
    assert worker.process.returncode == 0
    assert time.monotonic() - begin < 10
    chunk = (await site.tasks(film))["chunk:0002"]
    assert (chunk["state"], chunk["attempts"]) == ("queued", 0)  # given back, which costs no attempt
    finished = await site.finished(film)  # chunk 1 may still wait for its next attempt
    assert "480p/0000.ts" in finished

    worker = site.start_worker()

    async def all_but_finished() -> bool:
        return len((await site.video(film)).chunks_done) == 4

    await wait_until(all_but_finished)
    worker.stop(signal.SIGKILL)

    site.start_worker()
    await site.check(film)
    assert finished.items() <= site.published(film).items()  # no finished chunk was made again


async def test_children_and_programs_that_are_killed_or_hang(site: WorkerSite) -> None:
    film = await site.import_video()
    worker = site.start_worker(stall=3)
    (await worker.suspend_encoder("chunk:0000")).kill()
    hand = (await worker.suspend_encoder("chunk:0001")).parent()
    assert hand is not None
    hand.kill()
    hanging = await worker.suspend_encoder("chunk:0002")
    await site.check(film)
    events = [json.loads(line) for line in worker.text.splitlines() if "task_failed" in line]
    failed = [
        (event["task_id"], event["error"])
        for event in events
        if (event["video_id"], event["attempt"], event["permanent"]) == (1, 1, False)
    ]
    assert ("chunk:0000", "The encoder was killed.") in failed
    assert ("chunk:0001", "A process of the pool was killed.") in failed
    assert ("chunk:0002", "The work was stopped: its progress stands still.") in failed
    assert worker.text.count("killed.") == 2  # each once: on a busy machine others may seem to stand still, too
    assert not hanging.is_running()


async def test_two_workers_share_a_video_and_one_that_stood_still_comes_back(site: WorkerSite) -> None:
    film = await site.import_video()
    first = site.start_worker()
    await first.suspend_encoder("chunk:0001")
    first.suspend_all()
    site.start_worker()
    await site.status(film, "ready")
    done = site.published(film)
    first.resume_all()

    async def knows() -> bool:
        return "task_released" in first.text and first.encoders() == []

    await wait_until(knows, details=site.worker_log)
    await site.check(film)
    assert site.published(film) == done  # it came back, and changed nothing
    assert first.process.poll() is None


@pytest.mark.parametrize("stands_still", [False, True])
async def test_a_video_that_is_deleted_in_the_middle_leaves_nothing(site: WorkerSite, stands_still: bool) -> None:
    film = await site.import_video()
    worker = site.start_worker()
    await worker.suspend_encoder("chunk:0001")
    if stands_still:
        worker.suspend_all()
    await site.services.catalogue.delete(film)
    worker.resume_all()

    async def is_gone() -> bool:
        root = site.settings.media_root
        left = [name for _, _, names in os.walk(root) for name in names]
        return not left and scratch_files(root) == [] and worker.encoders() == [] and "task_released" in worker.text

    await wait_until(is_gone, details=site.worker_log)
    with pytest.raises(NotFound):
        await site.video(film)


async def test_a_cancel_racing_the_end_leaves_a_ready_or_retryable_video(
    site: WorkerSite, tmp_path: Path, tools: FfmpegBinaries
) -> None:
    short = make_video_file(tools, tmp_path / "short.mp4", seconds=2)
    worker = site.start_worker()
    for pause in (0.0, 0.02):
        film = await site.import_video(short)
        await wait_until(lambda film=film: site.is_nearly_done(film), details=site.worker_log)
        await asyncio.sleep(pause)
        with suppress(Conflict):  # it was ready first
            await site.services.catalogue.cancel(film)
        await wait_until(lambda film=film: site.is_idle(film), details=site.worker_log)
        if (await site.video(film)).status == "failed":
            assert (await site.video(film)).error == "The work was cancelled."
            await site.services.catalogue.retry(film)
        await site.check(film)
    assert worker.encoders() == []


async def test_a_cancel_stops_the_work_and_a_retry_goes_on_from_there(site: WorkerSite) -> None:
    film = await site.import_video()
    worker = site.start_worker()

    async def has_begun() -> bool:
        return bool((await site.video(film)).chunks_done)

    await wait_until(has_begun, details=site.worker_log)
    await worker.suspend_encoder()
    await site.services.catalogue.cancel(film)

    async def is_still() -> bool:
        return worker.encoders() == [] and await site.is_idle(film)

    await wait_until(is_still, details=site.worker_log)
    done = await site.finished(film)
    assert done
    await site.services.catalogue.retry(film)
    await site.check(film)
    assert done.items() <= site.published(film).items()


async def test_invalid_files_fail_with_reasons_and_leave_the_worker_healthy(
    site: WorkerSite, tmp_path: Path, film: Path
) -> None:
    whole = film.read_bytes()
    hostile = {
        "This file is empty.": b"",
        "This file is not a video": f"ffconcat version 1.0\nfile {film}\n".encode(),
        "This video is incomplete": whole[: len(whole) // 2],
        "This video is damaged": b"".join(b"G" + bytes(187) for _ in range(400)) + os.urandom(400_000),
    }
    numbers = {}
    for sentence, content in hostile.items():
        source = tmp_path / "film.mp4"
        source.write_bytes(content)
        numbers[await site.import_video(source)] = sentence
        source.unlink()
    worker = site.start_worker()
    for number, sentence in numbers.items():
        await site.status(number, "failed", 30)
        assert ((await site.video(number)).error or "").startswith(sentence)
        assert not (site.settings.media_root / "hls" / str(number)).exists()
    number = await site.import_video(make_video_file(site.tools, tmp_path / "short.mp4", seconds=2))
    await site.check(number)
    assert worker.process.poll() is None


async def test_what_a_finished_video_lost_comes_back_as_it_was(site: WorkerSite, tmp_path: Path, film: Path) -> None:
    words, source = tmp_path / "words.srt", tmp_path / "film.mkv"
    words.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    maps = [option for stream in ("0:v", "0:a", "0:a", "1") for option in ("-map", stream)]
    copy = ["-i", str(film), "-i", str(words), *maps, "-t", "10", "-c", "copy", "-c:s", "srt", str(source)]
    subprocess.run([site.tools.ffmpeg, "-v", "error", "-nostdin", *copy], check=True)
    number = await site.import_video(source)
    worker = site.start_worker()
    await site.check(number)
    root, folder = site.settings.media_root, site.settings.media_root / "hls" / str(number)
    whole = _names(folder)
    (folder / "480p" / "0001.ts").unlink()
    await site.services.engine.request_segment(number, "480p", 1, viewer=1)

    async def is_whole_again() -> bool:
        assert (await site.video(number)).status == "ready"  # all the time
        return _names(folder) == whole and scratch_files(root) == [] and _fits(folder / "480p")

    await wait_until(is_whole_again, details=site.worker_log)
    assert "chunk_lost" in worker.text
    for lost in ("480p/0002.ts", "480p/iframes.m3u8", "audio1/0000.ts", "subs1/index.m3u8", "storyboard/0000.jpg"):
        (folder / lost).unlink()
    await wait_until(is_whole_again, details=site.worker_log)


def _names(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*")}


def _fits(folder: Path) -> bool:
    """All segments are of the bulk work, and the I-frame playlist tells of these very ones."""
    frames = [f"{frame.byterange} {frame.uri}" for frame in m3u8.load(str(folder / "iframes.m3u8")).segments]
    segments = sorted(folder.glob("*.ts"))
    assert any(b"crf=22.2" in file.read_bytes() for file in segments)  # x264 says so in its first frame
    hasty = [file for file in segments if b"crf=23" in file.read_bytes()]
    return not hasty and frames == [f"{first_picture_size(file)}@0 {file.name}" for file in segments]


class Restart(Protocol):
    """Kills the server and starts it again, with its data or without."""

    def __call__(self, *, empty: bool) -> None: ...


OwnRedis = tuple[Settings, Restart]


@pytest.fixture
def own_redis(tmp_path: Path, settings: Settings) -> Iterator[OwnRedis]:
    """A Redis that the test may kill: its settings, and what starts it again."""
    home = tmp_path / "redis-home"
    home.mkdir()
    server = servers.make_redis_server(home)
    child = [processes.spawn(server.argv, server.log_path)]
    _answers(server)

    def again(*, empty: bool) -> None:
        child[0].kill()
        child[0].wait()
        if empty:
            for file in (home / "redis").iterdir():
                if file.name != "redis.conf":
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
        time.sleep(0.5)  # long enough for renewals to fail
        child[0] = processes.spawn(server.argv, server.log_path)
        _answers(server)

    yield settings.model_copy(update={"redis_url": type(settings.redis_url)(server.url)}), again
    processes.stop(child[0])


def _answers(server: servers.ServerSpec) -> None:
    deadline = time.monotonic() + 20
    while not server.is_listening():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_redis_is_killed_and_comes_back_with_its_data_and_then_without(
    own_redis: OwnRedis, tmp_path: Path, film: Path, tools: FfmpegBinaries
) -> None:
    settings, again = own_redis
    async with open_worker_site(settings, tmp_path, film, tools) as site:
        number = await site.import_video()
        worker = site.start_worker()
        encoder = await worker.suspend_encoder("chunk:0001")
        await asyncio.to_thread(again, empty=False)
        assert encoder.is_running()  # its lease is what it was
        encoder.resume()
        encoder = await worker.suspend_encoder("chunk:0002")
        done = await site.finished(number)
        assert len(done) == 3
        await asyncio.to_thread(again, empty=True)
        await site.check(number)
        assert done.items() <= site.published(number).items()
        assert "chunk:0001" not in await site.tasks(number)  # the new job had no need of it
        assert not encoder.is_running()
        assert worker.process.poll() is None


async def test_the_database_is_restarted_in_the_middle(
    tmp_path: Path, settings: Settings, film: Path, tools: FfmpegBinaries
) -> None:
    home = tmp_path / "database-home"
    home.mkdir()
    server = servers.make_database_server(home)
    with ExitStack() as stack:
        child = processes.spawn(server.argv, server.log_path)
        stack.callback(lambda: processes.stop(child))
        _answers(server)
        settings = settings.model_copy(update={"mongodb_uri": type(settings.mongodb_uri)(server.url)})
        async with open_worker_site(settings, tmp_path, film, tools) as site:
            number = await site.import_video()
            worker = site.start_worker()
            encoder = await worker.suspend_encoder("chunk:0001")
            child.kill()
            child.wait()
            encoder.resume()
            await asyncio.sleep(1)
            child = processes.spawn(server.argv, server.log_path)
            await asyncio.to_thread(_answers, server)
            await site.check(number)
            assert worker.process.poll() is None
            tasks = await site.tasks(number)
            assert {task["attempts"] for name, task in tasks.items() if name.startswith("chunk")} == {1}


@pytest.mark.parametrize("reserve", [0, 4])
async def test_a_full_disk_is_shown_and_waited_for(
    tmp_path: Path, settings: Settings, film: Path, tools: FfmpegBinaries, reserve: int
) -> None:
    """Without a reserve ffmpeg itself runs into the end of the disk; with one, the worker stops before that."""
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(small_disk(tmp_path / "disk", 32))
        except OSError as error:
            pytest.skip(f"no volume can be mounted here: {error}")
        settings = settings.model_copy(update={"media_root": disk, "min_free_gib": reserve / 1024})
        async with open_worker_site(settings, tmp_path, film, tools) as site:
            number = await site.import_video()
            ballast = disk / "ballast"
            free = shutil.disk_usage(disk).free
            ballast.write_bytes(b"\0" * (free - (3 if reserve else 1) * 1024**2))
            worker = site.start_worker()

            async def waits() -> bool:
                work = (await site.services.engine.progress([number])).get(number)
                return work is not None and work.pause_reason == "free disk space"

            await wait_until(waits, details=site.worker_log)
            assert (await site.video(number)).status == "processing"
            if reserve:
                assert psutil.disk_usage(str(disk)).free > 0
            ballast.unlink()
            await site.check(number)
            assert all(task["attempts"] == 1 for task in (await site.tasks(number)).values())
            assert worker.process.poll() is None
            worker.stop()
