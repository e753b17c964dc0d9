"""Workers with real pool children, on a ledger in a real Redis."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.support.fast_timing import FAST_TIMING
from tests.support.repository import InMemoryRepository
from tests.support.scripted_tasks import run_scripted_task
from tests.support.waiting import wait_until
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ledger import JobView, Ledger, State
from transcode.timing import Timing
from transcode.worker.worker import Worker

NO_TOOLS = FfmpegBinaries("/nonexistent", "/nonexistent")


@asynccontextmanager
async def open_ledger(url: str, timing: Timing = FAST_TIMING) -> AsyncIterator[Ledger]:
    """Open a ledger with short times."""
    async with Redis.from_url(url) as client:
        yield Ledger(client, timing=timing)


@asynccontextmanager
async def running_worker(
    ledger: Ledger, repository: InMemoryRepository, root: Path, **options: Any
) -> AsyncIterator[Worker]:
    """Run a worker with real children on this event loop for the block."""
    options = {"binaries": NO_TOOLS, "slots": 1, "min_free": 0, "run_task": run_scripted_task, **options}
    worker = Worker(ledger, repository, media_root=root, **options)
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        _, pending = await asyncio.wait({running}, timeout=15)
        if pending:
            for task in asyncio.all_tasks():
                task.print_stack()
            pytest.fail("the worker does not shut down")
        running.result()


async def get_job(ledger: Ledger, video_id: int) -> JobView:
    """Return the job of a video, which must have one."""
    job = await ledger.views.job(video_id)
    assert job is not None
    return job


async def wait_for_job(ledger: Ledger, video_id: int, state: State = State.SUCCEEDED) -> None:
    """Wait until the job of a video has ended in this state."""

    async def is_over() -> bool:
        return (await ledger.views.job_states([video_id])).get(video_id) is state

    await wait_until(is_over)


def scratch_files(root: Path) -> list[Path]:
    """Return all files and folders in the scratch folders of videos.

    Folders may vanish meanwhile, which rglob does not tolerate.
    """
    scratch = root / "scratch"
    all_paths = [Path(folder, name) for folder, folders, files in os.walk(scratch) for name in (*folders, *files)]
    return [path for path in all_paths if path.relative_to(scratch).parts[0] != "uploads"]
