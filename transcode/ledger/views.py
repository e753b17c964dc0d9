"""Read-only views of the ledger for admins, web pages and reconcilers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from transcode.ledger.connection import LedgerConnection
from transcode.ledger.records import JobProgress, JobView, TaskView, read_seconds
from transcode.ledger.states import LIVE, State
from transcode.task_kinds import TaskKind

# Limits per script call, because Redis serves nobody else meanwhile: videos whose jobs are read, and jobs whose tasks
# are read.
_MAX_VIDEOS_PER_QUERY, _MAX_JOBS_PER_QUERY = 500, 10


class LedgerViews:
    """Snapshots of jobs and tasks, each consistent in itself. Every method raises `LedgerUnavailable`."""

    def __init__(self, connection: LedgerConnection) -> None:
        self._connection = connection

    async def job(self, video_id: int) -> JobView | None:
        """Return a video's job with its tasks, on-demand segments included."""
        snapshot = await self._connection.run_script("show_job", video=str(video_id))
        return None if snapshot is None else _job_view(json.loads(snapshot))

    async def jobs(self, limit: int = 100) -> list[JobView]:
        """Return the newest jobs, newest first."""
        client, key = self._connection.client, self._connection.prefix + "films"
        video_ids = await self._connection.call(lambda: client.zrevrange(key, 0, limit - 1))
        views = [await self.job(int(video_id)) for video_id in video_ids]
        return [view for view in views if view is not None]

    async def progress(self, video_ids: Iterable[int]) -> dict[int, JobProgress]:
        """Return the progress of these videos' jobs. Videos without a job are left out."""
        wanted, by_video = [str(video_id) for video_id in video_ids], dict[int, JobProgress]()
        for first in range(0, len(wanted), _MAX_VIDEOS_PER_QUERY):
            batch = wanted[first : first + _MAX_VIDEOS_PER_QUERY]
            snapshot = json.loads(await self._connection.run_script("show_progress", videos=batch))
            rows = (_job_progress(row, snapshot["hold"]) for row in snapshot["rows"] or [])
            by_video |= {progress.video_id: progress for progress in rows}
        return by_video

    async def job_states(self, video_ids: Iterable[int]) -> dict[int, State]:
        """Return the states of these videos' jobs. Videos without a job are left out."""
        return {video_id: progress.state for video_id, progress in (await self.progress(video_ids)).items()}

    async def list_active_ids(self) -> set[int]:
        """Return the ids of videos whose jobs have not ended."""
        return {video_id for video_id, state in (await self.all_job_states()).items() if state in LIVE}

    async def all_job_states(self) -> dict[int, State]:
        """Return the state of every job, by video id."""
        client, key = self._connection.client, self._connection.prefix + "films"
        video_ids = await self._connection.call(lambda: client.zrange(key, 0, -1))
        return await self.job_states(int(video_id) for video_id in video_ids)

    async def task_states(self, video_ids: Sequence[int]) -> Counter[str]:
        """Return how many tasks of these videos' jobs are in each state."""
        counts = Counter[str]()
        for first in range(0, len(video_ids), _MAX_JOBS_PER_QUERY):
            batch = [str(video_id) for video_id in video_ids[first : first + _MAX_JOBS_PER_QUERY]]
            counts.update(json.loads(await self._connection.run_script("count_tasks", videos=batch)))
        return counts


def _job_progress(row: dict[str, Any], pause_reason: str) -> JobProgress:
    return JobProgress(
        video_id=int(row["video"]),
        state=State(row["state"]),
        total=row["total"],
        base=row["base"],
        done=row["done"],
        elapsed=row["elapsed"] / 1000,
        pause_reason=pause_reason,
    )


def _job_view(snapshot: dict[str, Any]) -> JobView:
    job = snapshot["job"]
    tasks = sorted(map(TaskView.from_hash, snapshot["tasks"] or []), key=lambda task: (task.created_at, task.id))
    in_flight = sum(
        task.progress * task.weight for task in tasks if task.state is State.RUNNING and task.kind != TaskKind.SEGMENT
    )
    started = read_seconds(job, "started")
    progress = JobProgress(
        video_id=int(job["film"]),
        state=State(job["state"]),
        total=float(job["total"]),
        base=float(job["base"]),
        done=float(job["done"]) + in_flight,
        elapsed=snapshot["now"] / 1000 - started if started else 0,
        pause_reason=snapshot["hold"],
    )
    return JobView(
        id=job["id"],
        video_id=progress.video_id,
        state=progress.state,
        error=job.get("error", ""),
        waits_for=progress.waits_for,
        percent=progress.percent,
        seconds_left=progress.seconds_left,
        created_at=read_seconds(job, "created"),
        started_at=started,
        ended_at=read_seconds(job, "ended"),
        tasks=tuple(tasks),
    )
