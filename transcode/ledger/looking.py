"""The ledger as admins, pages and reconcilers look at it: nothing is moved here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import ResponseError

from transcode.ledger.line import Line
from transcode.ledger.records import JobView, Progress, TaskView, seconds
from transcode.ledger.states import LIVE, State

# Films in one question, and those whose tasks are looked at: Redis does nothing else until it is answered.
_AT_ONCE, _JOBS_AT_ONCE = 500, 10


class Looking(Line):
    """Pictures of jobs and tasks, each consistent in itself."""

    async def job(self, film: int) -> JobView | None:
        """One film's job with its tasks, interactive segments included."""
        answer = await self._run("show", film=str(film))
        return None if answer is None else _job_view(json.loads(answer))

    async def jobs(self, limit: int = 100) -> list[JobView]:
        """The newest jobs first."""
        films = await self._guard(self._client.zrevrange(self._prefix + "films", 0, limit - 1))
        views = [await self.job(int(film)) for film in films]
        return [view for view in views if view is not None]

    async def progress(self, films: Iterable[int]) -> dict[int, Progress]:
        """How far these films' jobs are; films without a job are left out."""
        wanted, found = [str(film) for film in films], dict[int, Progress]()
        for first in range(0, len(wanted), _AT_ONCE):
            picture = json.loads(await self._run("progress", films=wanted[first : first + _AT_ONCE]))
            rows = (_progress(row, picture["hold"]) for row in picture["rows"] or [])
            found |= {progress.film: progress for progress in rows}
        return found

    async def states(self, films: Iterable[int]) -> dict[int, State]:
        """The state of each film's job; films without a job are left out."""
        return {film: progress.state for film, progress in (await self.progress(films)).items()}

    async def at_work(self) -> set[int]:
        """Films whose jobs are not over."""
        return {film for film, state in (await self.all_states()).items() if state in LIVE}

    async def all_states(self) -> dict[int, State]:
        """The state of every job that is known."""
        films = await self._guard(self._client.zrange(self._prefix + "films", 0, -1))
        return await self.states(int(film) for film in films)

    async def task_states(self, films: Sequence[int]) -> Counter[str]:
        """How many tasks of these films' jobs are in each state."""
        found = Counter[str]()
        for first in range(0, len(films), _JOBS_AT_ONCE):
            some = [str(film) for film in films[first : first + _JOBS_AT_ONCE]]
            found.update(json.loads(await self._run("tally", films=some)))
        return found

    async def ping(self) -> None:
        """Raise `LedgerUnavailable` unless Redis answers."""
        await self._guard(self._client.ping())

    async def loses_keys(self) -> bool:
        """Whether Redis throws away any keys it likes when its memory is full: then jobs would never end.

        False also where it is not told.
        """
        try:
            memory = await self._guard(self._client.info("memory"))
        except ResponseError:  # not everybody may ask
            return False
        return str(memory.get("maxmemory_policy", "")).startswith("allkeys")


def _progress(row: dict[str, Any], hold: str) -> Progress:
    return Progress(
        film=int(row["film"]),
        state=State(row["state"]),
        total=row["total"],
        base=row["base"],
        done=row["done"],
        elapsed=row["elapsed"] / 1000,
        hold=hold,
    )


def _job_view(picture: dict[str, Any]) -> JobView:
    job = picture["job"]
    tasks = sorted(map(TaskView.of, picture["tasks"] or []), key=lambda task: (task.created_at, task.id))
    in_flight = sum(
        task.progress * task.weight for task in tasks if task.state is State.RUNNING and task.kind != "segment"
    )
    started = seconds(job, "started")
    progress = Progress(
        film=int(job["film"]),
        state=State(job["state"]),
        total=float(job["total"]),
        base=float(job["base"]),
        done=float(job["done"]) + in_flight,
        elapsed=picture["now"] / 1000 - started if started else 0,
        hold=picture["hold"],
    )
    return JobView(
        id=job["id"],
        film=progress.film,
        state=progress.state,
        error=job.get("error", ""),
        waits_for=progress.waits_for,
        percent=progress.percent,
        seconds_left=progress.seconds_left,
        created_at=seconds(job, "created"),
        started_at=started,
        ended_at=seconds(job, "ended"),
        tasks=tuple(tasks),
    )
