"""Optional tasks: a video is published without what they make if they fail, says so, and they are tried again later."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.support import sample_videos
from tests.support.fast_timing import FAST_TIMING
from tests.support.repository import InMemoryRepository
from tests.support.scripted_tasks import TaskScript, make_presentation
from tests.support.video_builder import VideoBuilder
from tests.support.waiting import wait_until
from tests.support.workers import get_job, open_ledger, running_worker, wait_for_job
from transcode import integrity, paths, task_graph
from transcode.errors import MediaError
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ledger import Ledger, NewTask, State
from transcode.presentation import AudioTrack, Presentation, SubtitleTrack
from transcode.repository import Omissions

SOON = replace(FAST_TIMING, optional_retry_delay_s=0.3, max_optional_retry_delay_s=0.6)
NEVER = replace(FAST_TIMING, optional_retry_delay_s=3600.0, max_optional_retry_delay_s=3600.0)
OPTIONAL = ["thumbnail", "tracks", "subtitles", "loudness", "iframes", "storyboard"]


def rich_presentation() -> Presentation:
    """Return the presentation of a video with two audio tracks and subtitles."""
    return replace(make_presentation(20), audio=(AudioTrack(1, 2), AudioTrack(2, 2)), subtitles=(SubtitleTrack(3),))


async def begin(ledger: Ledger, repository: InMemoryRepository) -> None:
    repository.add(1, rich_presentation())
    await ledger.start(1, [task_graph.probe_task()], task_graph.closing())


def missing(repository: InMemoryRepository) -> set[str]:
    return set(repository.records[1].omissions.sentences)


@pytest.mark.parametrize("kind", OPTIONAL)
async def test_a_video_is_published_without_what_fails_until_a_retry_succeeds(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript, kind: str
) -> None:
    task_script.set(kind, "fail")
    task_script.set("audio", "unmeasured")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "1.mp4").touch()
    async with open_ledger(redis_url, SOON) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_until(lambda: repository.status[1] == "ready")
        assert repository.records[1].chunks_done == {0, 1, 2}
        assert missing(repository) == {kind}
        assert repository.records[1].omissions.sentences[kind] == "It failed."
        task_script.clear(kind)
        await wait_until(lambda: not repository.records[1].omissions)
        assert kind in repository.records[1].tasks_done


@pytest.mark.parametrize("order", ["fail permanently", "raise bug", "exit", "hang"])
async def test_however_it_fails_the_video_is_published(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript, order: str
) -> None:
    task_script.set("storyboard", order)
    times = replace(NEVER, stall_timeout_s=1.0)
    async with open_ledger(redis_url, times) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_until(lambda: repository.status[1] == "ready", timeout_s=60)
        assert missing(repository) == {"storyboard"}


async def test_later_tries_are_few_and_each_pause_is_longer(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("iframes", "fail permanently")
    times = replace(
        FAST_TIMING,
        optional_retry_delay_s=0.1,
        optional_retry_growth=2.0,
        max_optional_retry_delay_s=0.4,
        max_optional_retries=3,
    )
    async with open_ledger(redis_url, times) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_until(lambda: repository.status.get(1) == "ready" and repository.records[1].omissions.tries == 3)
        await wait_for_job(ledger, 1)
        await asyncio.sleep(5 * times.max_optional_retry_delay_s)
        assert len(task_script.started("iframes")) == 4
        assert task_script.started("probe") == ["0"]  # the source is not needed, so it is not probed again
        assert (repository.status[1], missing(repository)) == ("ready", {"iframes"})


def test_pauses_grow_up_to_a_bound_and_end() -> None:
    omissions = Omissions({"storyboard": "It failed."}, 0, 1000.0)
    pauses = []
    while (due := task_graph.retry_at(omissions, times := FAST_TIMING)) < float("inf"):
        pauses.append(due - omissions.tried_at)
        omissions = omissions.tried(due)
    assert pauses == sorted(pauses)
    assert len(pauses) == times.max_optional_retries
    assert pauses[0] == times.optional_retry_delay_s
    assert pauses[-1] == times.max_optional_retry_delay_s


async def test_tries_that_cannot_reach_the_end_of_their_job_are_counted_too(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "1.mp4").touch()
    task_script.set("thumbnail", "fail permanently")
    times = replace(FAST_TIMING, optional_retry_delay_s=0.1, optional_retry_growth=1.0, max_optional_retries=2)
    async with open_ledger(redis_url, times) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_until(lambda: repository.status[1] == "ready")
        task_script.set("probe", "fail permanently")
        await wait_until(lambda: repository.records[1].omissions.tries == 2)
        await wait_for_job(ledger, 1, State.DEAD)
        await asyncio.sleep(1)
        assert (repository.status[1], repository.records[1].omissions.tries) == ("ready", 2)
        assert len(task_script.started("probe")) <= 3


@pytest.mark.parametrize("order", ["fail", "raise bug", "exit"])
async def test_a_video_whose_last_step_fails_stays_and_is_tried_again(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript, order: str
) -> None:
    task_script.set("finish", order)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "1.mp4").touch()
    async with open_ledger(redis_url, SOON) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_until(lambda: repository.status[1] != "processing", timeout_s=60)
        assert (repository.status[1], missing(repository)) == ("ready", {"finish"})
        task_script.clear("finish")
        await wait_until(lambda: not repository.records[1].omissions)
        assert "finish" in repository.records[1].tasks_done


async def test_a_catalogue_that_fails_at_the_last_step_removes_no_video(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    repository.failing_kinds.add("finish")
    async with open_ledger(redis_url, NEVER) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_until(lambda: repository.status[1] != "processing")
        assert (repository.status[1], missing(repository)) == ("ready", {"finish"})


@pytest.mark.parametrize("kind", ["chunk", "audio", "probe"])
async def test_a_video_without_what_it_needs_fails(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript, kind: str
) -> None:
    task_script.set(kind, "fail")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_until(lambda: repository.status[1] == "failed: It failed.")


async def test_a_segment_that_is_missing_at_the_end_is_made_again(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("iframes", "hang")
    async with (
        open_ledger(redis_url, replace(NEVER, stall_timeout_s=60)) as ledger,
        running_worker(ledger, repository, tmp_path),
    ):
        await begin(ledger, repository)
        await wait_until(lambda: task_script.started("iframes"))
        paths.segment_path(tmp_path, 1, "480p", 4).unlink()
        task_script.set("iframes", "miss input")
        await wait_until(lambda: len(task_script.started("chunk")) == 4)
        task_script.clear("iframes")
        await wait_for_job(ledger, 1)
        assert (repository.status[1], missing(repository)) == ("ready", set())
        assert paths.segment_path(tmp_path, 1, "480p", 4).exists()


async def test_a_worker_that_dies_in_an_optional_task_is_one_failure_of_it(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    """The dead worker cannot report to the catalogue, so the failure is recorded at the end of the job."""
    async with open_ledger(redis_url, NEVER) as ledger:
        await begin(ledger, repository)
        job = (await get_job(ledger, 1)).id
        async with running_worker(ledger, repository, tmp_path):
            await wait_until(lambda: repository.status[1] == "ready")
        record = repository.records[1]
        assert not record.omissions
        await ledger.forget(1)
        repository.add(1, rich_presentation(), chunks=[0, 1, 2])
        await ledger.start(1, [NewTask("thumbnail", "thumbnail", max_attempts=1, optional=True)], task_graph.closing())
        assert (await get_job(ledger, 1)).id != job
        lease = await ledger.claim(["bulk"], "a worker that dies")
        assert lease.task_id == "thumbnail"
        async with running_worker(ledger, repository, tmp_path):
            await wait_until(lambda: repository.status[1] == "ready")
        assert repository.records[1].omissions.sentences == {"thumbnail": "The worker stopped answering."}


async def test_jobs_of_an_older_version_with_one_closing_task_come_to_their_end(redis_url: str) -> None:
    async with open_ledger(redis_url) as ledger, Redis.from_url(redis_url, decode_responses=True) as redis:
        await ledger.start(1, [NewTask("chunk:0000", "chunk")], task_graph.finalize_task())
        (key,) = [key async for key in redis.scan_iter("videoflix:job:*")]
        await redis.hset(key, "last", '{"id":"finish","kind":"finish","index":0,"rendition":"","priority":22,'
                                  '"lane":"bulk","weight":0,"limit":4,"optional":false}')  # fmt: skip
        for expected in ("chunk:0000", "finish"):
            lease = await ledger.claim(["bulk"], "w")
            assert lease.task_id == expected
            await ledger.complete(lease, {})
        assert (await ledger.views.job_states([1]))[1] is State.SUCCEEDED


# With real files -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tools: FfmpegBinaries, tmp_path_factory: pytest.TempPathFactory) -> VideoBuilder:
    source = tmp_path_factory.mktemp("source") / "video.mp4"
    sample_videos.run_ffmpeg(
        tools,
        *sample_videos.video_input("5", 10),
        *sample_videos.beep_input(10),
        *sample_videos.H264,
        *sample_videos.AAC,
        str(source),
    )
    video = VideoBuilder(tmp_path_factory.mktemp("media"), source, tools)
    video.probe()
    video.encode_audio()
    video.encode_chunks()
    return video


def test_a_video_without_i_frame_playlists_has_measured_bandwidths(built: VideoBuilder) -> None:
    name = built.presentation.top_rendition.name
    playlist = paths.rendition_dir(built.root, 1, name) / paths.IFRAME_PLAYLIST
    playlist.unlink(missing_ok=True)
    measured = built.run_task("finish")["bandwidths"][name]
    master = (built.folder / "master.m3u8").read_text()
    assert f"BANDWIDTH={measured}," in master
    assert "I-FRAME" not in master
    built.run_task("iframes")
    assert built.run_task("finish")["bandwidths"][name] == measured
    assert "I-FRAME" in (built.folder / "master.m3u8").read_text()


@pytest.mark.parametrize("kind", ["iframes", "storyboard"])
def test_a_damaged_segment_fails_only_the_tasks_that_read_it(built: VideoBuilder, kind: str) -> None:
    segment = built.segment_paths()[1]
    content = segment.read_bytes()
    segment.write_bytes(b"\0" * len(content))
    try:
        with pytest.raises(MediaError, match="A segment of this video is damaged"):
            built.run_task(kind)
        built.run_task("finish")
    finally:
        segment.write_bytes(content)


def test_each_missing_optional_part_is_reported_by_its_own_kind(built: VideoBuilder, tmp_path: Path) -> None:
    for kind in ("iframes", "storyboard", "finish"):
        built.run_task(kind)
    repository = InMemoryRepository()
    repository.add(1, built.presentation, range(built.presentation.grid.chunk_count))
    record = replace(repository.records[1], tasks_done=frozenset({"iframes", "storyboard", "finish"}))
    assert not integrity.find_missing(record, built.root)
    (built.folder / "storyboard" / "index.vtt").rename(tmp_path / "index.vtt")
    assert integrity.find_missing(record, built.root).kinds == {"storyboard"}
    (tmp_path / "index.vtt").rename(built.folder / "storyboard" / "index.vtt")
    (built.folder / built.presentation.top_rendition.name / "iframes.m3u8").unlink()
    assert integrity.find_missing(record, built.root).kinds == {"iframes"}
    built.run_task("iframes")


# Runs long enough for its memory to be sampled: an early exit with these words is taken for a lack of memory.
BROKEN_MEASUREMENT = """#!/bin/sh
case "$*" in *ebur128*) sleep 1; echo "[Parsed_ebur128_4] Out of memory" >&2; exit 1;; esac
exec {ffmpeg} "$@"
"""


def test_audio_whose_loudness_cannot_be_measured_is_encoded(
    built: VideoBuilder, tools: FfmpegBinaries, tmp_path: Path
) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_text(BROKEN_MEASUREMENT.format(ffmpeg=tools.ffmpeg))
    broken.chmod(0o755)
    video = VideoBuilder(tmp_path / "media", built.source, FfmpegBinaries(str(broken), tools.ffprobe))
    video.probe()
    assert video.run_task("audio") == {"loudness": None, "unmeasured": True}
    for chunk in range(video.presentation.grid.chunk_count):
        parts = [paths.chunk_audio_path(root, 1, chunk).read_bytes() for root in (video.root, built.root)]
        assert parts[0] == parts[1]
    with pytest.raises(MediaError):
        video.run_task("loudness")
    repaired = VideoBuilder(tmp_path / "media", built.source, tools, presentation_json=video.presentation_json)
    assert repaired.run_task("loudness")["loudness"] == pytest.approx(built.results["audio"]["loudness"], abs=0.1)


def test_the_loudness_has_a_task_of_its_own_only_where_it_is_not_known() -> None:
    repository = InMemoryRepository()
    repository.add(1, rich_presentation(), chunks=[0, 1, 2])
    record = replace(repository.records[1], tasks_done=frozenset({"audio", "thumbnail", "tracks"}))
    assert {task.kind for task in task_graph.initial_tasks(record, Path())} == {"subtitles"}
    record = replace(record, task_results={"audio": {"loudness": None, "unmeasured": True}})
    assert {task.kind for task in task_graph.initial_tasks(record, Path())} == {"subtitles", "loudness"}
    assert all(task.optional for task in task_graph.initial_tasks(record, Path()))


def test_only_probe_audio_and_finish_are_needed_of_the_single_tasks() -> None:
    repository = InMemoryRepository()
    repository.add(1, replace(rich_presentation(), grid=replace(rich_presentation().grid, fps=Fraction(25))))
    record = replace(repository.records[1], task_results={"audio": {"unmeasured": True}})
    tasks = [
        *task_graph.follow_ups("audio", record, Path()),
        *task_graph.initial_tasks(record, Path()),
        *task_graph.closing(),
    ]
    assert {task.kind for task in tasks if not task.optional} == {"audio", "chunk", "finish"}
    assert {task.kind for task in tasks if task.optional} == set(OPTIONAL)
