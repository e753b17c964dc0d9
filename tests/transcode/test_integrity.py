"""What one task wrote and the next one does not find: it is made again, and the film knows nothing of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import hls_checks, sample_videos
from tests.support.repository import InMemoryRepository
from tests.support.scripted_tasks import TaskScript, make_presentation
from tests.support.video_builder import RecordingProgressSink, VideoBuilder
from tests.support.waiting import wait_until
from tests.support.workers import get_job, open_ledger, running_worker, wait_for_job
from transcode import paths, task_graph
from transcode.engine import Engine
from transcode.errors import InputMissing, MediaError, Stopped
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ffmpeg.process import FfmpegProcess
from transcode.ledger import Ledger, NewTask, State
from transcode.pending_segment import SegmentFailed
from transcode.tasks.registry import run_task


async def begin(ledger: Ledger, repository: InMemoryRepository) -> None:
    repository.add(1, make_presentation(20, sound=True))
    await ledger.start(1, [task_graph.probe_task()], task_graph.finalize_task())


async def test_sound_that_vanishes_is_made_again_and_costs_no_attempt(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("chunk", "work")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path, slots=2):
        await begin(ledger, repository)
        await wait_until(lambda: "audio:0" in repository.completed_tasks and len(task_script.started("chunk")) == 2)
        shutil.rmtree(paths.chunk_audio_dir(tmp_path, 1))
        task_script.clear("chunk")
        await wait_for_job(ledger, 1)
        assert (repository.status[1], repository.records[1].chunks_done) == ("ready", {0, 1, 2})
        assert len(task_script.started("audio")) == 2
        assert {task.attempts for task in (await get_job(ledger, 1)).tasks} == {1}


async def test_a_repeatedly_missing_input_finally_fails_the_task(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("chunk", "miss input")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        repository.add(1, make_presentation(4))
        await ledger.start(1, [task_graph.probe_task()], task_graph.finalize_task())
        await wait_until(lambda: repository.status[1] == "failed: A file of this video is missing.")
        assert len(task_script.started("chunk")) == 5
        task_script.clear("chunk")
        task_script.set("thumbnail", "miss input")
        repository.add(2, make_presentation(4))
        await ledger.start(2, [task_graph.probe_task()], task_graph.finalize_task())
        await wait_until(lambda: repository.status[2] == "ready")


async def test_files_of_a_video_that_was_deleted_are_no_loss(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("chunk", "work")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        await begin(ledger, repository)
        await wait_until(lambda: task_script.started("chunk"))
        repository.delete(1)
        task_script.set("chunk", "miss input")
        await wait_for_job(ledger, 1, State.CANCELLED)
        assert len(task_script.started("probe")) == 1


async def test_nothing_is_taken_for_lost_while_the_source_is_away_too(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, task_script: TaskScript
) -> None:
    task_script.set("segment", "miss input")
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path):
        repository.add(1, make_presentation(8), chunks=[0, 1])
        await repository.mark_finished(1, {})
        engine = Engine(ledger, tmp_path)
        with pytest.raises(SegmentFailed, match="is missing"):
            await engine.request_segment(1, "480p", 1)
        await engine.close()
        assert repository.records[1].chunks_done == {0, 1}


@pytest.fixture(scope="module")
def source(tools: FfmpegBinaries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without an index, so that work is done on a copy."""
    made = tmp_path_factory.mktemp("losses") / "film.ts"
    sample_videos.run_ffmpeg(
        tools,
        *sample_videos.video_input(),
        *sample_videos.beep_input(),
        *sample_videos.H264,
        *sample_videos.AAC,
        str(made),
    )
    return made


async def test_a_video_outlives_the_loss_of_everything_but_its_source(
    redis_url: str, tmp_path: Path, repository: InMemoryRepository, source: Path, tools: FfmpegBinaries
) -> None:
    studio = VideoBuilder(tmp_path, source, tools)
    timeline = studio.probe()
    assert timeline.remuxed
    studio.encode_audio()
    studio.run_task("chunk", 0)
    shutil.rmtree(paths.scratch_dir(tmp_path, 1))  # the copy and the sound
    repository.add(1, timeline, chunks=[0])
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "1.mp4").symlink_to(source)
    hands = {"binaries": tools, "run_task": run_task}
    async with open_ledger(redis_url) as ledger, running_worker(ledger, repository, tmp_path, **hands):
        await ledger.start(1, [NewTask("chunk:0001", "chunk", 1)], task_graph.finalize_task())
        await wait_for_job(ledger, 1)
        assert repository.status[1] == "ready"
        shutil.rmtree(studio.folder)
        engine = Engine(ledger, tmp_path)
        await engine.request_segment(1, "480p", 1)
        await engine.close()
        await wait_for_job(ledger, 1)
        await wait_until(lambda: "finish" in repository.records[1].tasks_done)
        assert repository.status[1] == "ready"
        hls_checks.check(studio.folder, tools)


def test_a_task_says_what_it_lost_and_a_probe_brings_the_copy_back(
    tools: FfmpegBinaries, tmp_path: Path, source: Path
) -> None:
    film = VideoBuilder(tmp_path, source, tools)
    film.probe()
    copy = paths.remuxed_path(tmp_path, 1)
    copy.unlink()
    for kind in ("audio", "chunk", "segment", "thumbnail"):
        with pytest.raises(InputMissing, match="The working copy of this video"):
            film.run_task(kind, rendition="480p")
    film.probe()
    assert copy.exists()
    with pytest.raises(InputMissing, match="The encoded audio of this part"):
        film.run_task("chunk")
    film.encode_audio()
    shutil.rmtree(film.folder)
    with pytest.raises(InputMissing):
        film.run_task("chunk")


def test_a_task_that_lost_its_lease_publishes_nothing(
    tools: FfmpegBinaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "film.mp4"
    sample_videos.run_ffmpeg(tools, *sample_videos.video_input(seconds=1), *sample_videos.H264, str(made))
    film, watch, run = VideoBuilder(tmp_path, made, tools), RecordingProgressSink(), FfmpegProcess.run
    film.probe()

    def paused_at_its_end(self: FfmpegProcess) -> str:
        said = run(self)
        monkeypatch.setattr(watch, "is_stop_requested", lambda: True)
        return said

    monkeypatch.setattr(FfmpegProcess, "run", paused_at_its_end)
    with pytest.raises(Stopped):
        film.run_task("chunk", progress_sink=watch)
    assert not any(segment.exists() for segment in film.segment_paths())


def test_an_upload_that_is_gone_is_no_loss_that_can_be_made_good(tools: FfmpegBinaries, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="uploaded file is gone") as refused:
        VideoBuilder(tmp_path, tmp_path / "nothing.mp4", tools).probe()
    assert not isinstance(refused.value, InputMissing)
