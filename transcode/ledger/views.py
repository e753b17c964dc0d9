"""The ledger as admins, pages and reconcilers look at it: nothing is moved here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import ResponseError

from transcode.ledger.connection import LedgerConnection
from transcode.ledger.records import JobProgress, JobView, TaskView, read_seconds
from transcode.ledger.states import LIVE, State
from transcode.task_kinds import TaskKind

# Films in one question, and those whose tasks are looked at: Redis does nothing else until it is answered.
_MAX_VIDEOS_PER_QUERY, _MAX_JOBS_PER_QUERY = 500, 10


class LedgerViews(LedgerConnection):
    """Pictures of jobs and tasks, each consistent in itself."""

    async def job(self, video_id: int) -> JobView | None:
        """One film's job with its tasks, interactive segments included."""
        answer = await self._run_script("show", film=str(video_id))
        return None if answer is None else _job_view(json.loads(answer))

    async def jobs(self, limit: int = 100) -> list[JobView]:
        """The newest jobs first."""
        films = await self._call(self._client.zrevrange(self._prefix + "films", 0, limit - 1))
        views = [await self.job(int(film)) for film in films]
        return [view for view in views if view is not None]

    async def progress(self, video_ids: Iterable[int]) -> dict[int, JobProgress]:
        """How far these films' jobs are; films without a job are left out."""
        wanted, found = [str(film) for film in video_ids], dict[int, JobProgress]()
        for first in range(0, len(wanted), _MAX_VIDEOS_PER_QUERY):
            picture = json.loads(
                await self._run_script("progress", films=wanted[first : first + _MAX_VIDEOS_PER_QUERY])
            )
            rows = (_job_progress(row, picture["hold"]) for row in picture["rows"] or [])
            found |= {progress.video_id: progress for progress in rows}
        return found

    async def job_states(self, video_ids: Iterable[int]) -> dict[int, State]:
        """The state of each film's job; films without a job are left out."""
        return {film: progress.state for film, progress in (await self.progress(video_ids)).items()}

    async def list_active_ids(self) -> set[int]:
        """Films whose jobs are not over."""
        return {film for film, state in (await self.all_job_states()).items() if state in LIVE}

    async def all_job_states(self) -> dict[int, State]:
        """The state of every job that is known."""
        films = await self._call(self._client.zrange(self._prefix + "films", 0, -1))
        return await self.job_states(int(film) for film in films)

    async def task_states(self, video_ids: Sequence[int]) -> Counter[str]:
        """How many tasks of these films' jobs are in each state."""
        found = Counter[str]()
        for first in range(0, len(video_ids), _MAX_JOBS_PER_QUERY):
            some = [str(film) for film in video_ids[first : first + _MAX_JOBS_PER_QUERY]]
            found.update(json.loads(await self._run_script("tally", films=some)))
        return found

    async def ping(self) -> None:
        """Raise `LedgerUnavailable` unless Redis answers."""
        await self._call(self._client.ping())

    async def evicts_keys(self) -> bool:
        """Whether Redis throws away any keys it likes when its memory is full: then jobs would never end.

        False also where it is not told.
        """
        try:
            memory = await self._call(self._client.info("memory"))
        except ResponseError:  # not everybody may ask
            return False
        return str(memory.get("maxmemory_policy", "")).startswith("allkeys")


def _job_progress(row: dict[str, Any], pause_reason: str) -> JobProgress:
    return JobProgress(
        video_id=int(row["film"]),
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
