"""The sweeper: what it removes from the media folder, and what it leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fast_timing import FAST_TIMING
from tests.support.repository import InMemoryRepository
from tests.support.scripted_tasks import make_presentation
from tests.support.workers import open_ledger
from transcode import paths, task_graph
from transcode.ledger import Lease, Ledger, Queue
from transcode.worker.sweeper import Sweeper
from videoflix.upload_storage import UploadStorage


def put(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"x")
    return place


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


async def claimed(ledger: Ledger, repository: InMemoryRepository) -> Lease:
    """The probe of film 1, at work."""
    repository.add(1, make_presentation(8))
    await ledger.start(1, [task_graph.probe_task()], task_graph.finalize_task())
    lease = await ledger.claim([Queue.PROBE], "w")
    assert isinstance(lease, Lease)
    return lease


async def test_scratch_without_a_lease_or_an_unfinished_video_is_removed(redis_url: str, tmp_path: Path) -> None:
    repository = InMemoryRepository()
    async with open_ledger(redis_url) as ledger:
        lease = await claimed(ledger, repository)
        kept = {
            put(paths.attempt_dir(tmp_path, 1, lease.token) / "0000.ts"),
            put(paths.chunk_audio_path(tmp_path, 1, 0)),
            put(tmp_path / "hls" / "7" / "480p" / "0000.ts"),
            put(tmp_path / "videos" / "7.mp4"),
            put(tmp_path / "scratch" / "uploads" / "growing"),
        }
        put(paths.attempt_dir(tmp_path, 1, "dead") / "0000.ts")
        put(paths.attempt_dir(tmp_path, 7, "dead") / "0000.ts")
        put(paths.chunk_audio_path(tmp_path, 7, 0))
        put(paths.remuxed_path(tmp_path, 7))
        await Sweeper(ledger, repository, tmp_path).run_once()
        assert files(tmp_path) == {str(path.relative_to(tmp_path)) for path in kept}
        assert not paths.scratch_dir(tmp_path, 7).exists()


async def test_a_video_that_is_tried_again_at_this_moment_keeps_its_sound(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, answers = InMemoryRepository(), [[], [1]]

    async def unfinished() -> list[int]:
        return answers.pop(0)

    monkeypatch.setattr(repository, "list_unfinished", unfinished)
    async with open_ledger(redis_url) as ledger:
        sound = put(paths.chunk_audio_path(tmp_path, 1, 0))
        await Sweeper(ledger, repository, tmp_path).run_once()
        assert sound.exists()
        assert answers == []


async def test_what_comes_in_late_for_a_deleted_video_is_removed(redis_url: str, tmp_path: Path) -> None:
    repository = InMemoryRepository()
    async with open_ledger(redis_url) as ledger:
        lease = await claimed(ledger, repository)
        repository.delete(1)
        places = [
            paths.segment_path(tmp_path, 1, "480p", 0),
            paths.thumbnail_path(tmp_path, 1),
            paths.chunk_audio_path(tmp_path, 1, 0),
            tmp_path / "videos" / "1.mp4",
        ]
        for place in places:
            put(place)
        other = put(paths.segment_path(tmp_path, 2, "480p", 0))
        sweeper = Sweeper(ledger, repository, tmp_path)
        await sweeper.run_once()  # a worker still writes: its task is cancelled, and then looked after again
        await ledger.release(lease)
        await sweeper.run_once()
        assert files(tmp_path) == {str(other.relative_to(tmp_path))}
        assert await ledger.views.job(1) is None


async def test_uploads_that_nobody_continues_are_removed(redis_url: str, tmp_path: Path) -> None:
    places = [put(paths.uploads_dir(tmp_path) / name) for name in ("abandoned", "grows")]
    left = []
    with places[1].open("ab") as growing:
        UploadStorage.lock(growing)
        for minutes, a_day in ((300.0, 3600.0), (-1.0, 3600.0), (-1.0, -1.0)):
            times = replace(FAST_TIMING, abandoned_upload_age_s=minutes, max_upload_age_s=a_day)
            async with open_ledger(redis_url, times) as ledger:
                await Sweeper(ledger, InMemoryRepository(), tmp_path).run_once()
            left.append(sorted(place.name for place in places if place.exists()))
    assert left == [["abandoned", "grows"], ["grows"], []]
