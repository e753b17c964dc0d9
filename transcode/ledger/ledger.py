"""The ledger: who works on what, in Redis. Every move is one script, and every call may be repeated.

Any method raises `LedgerUnavailable` while Redis cannot be reached or cannot write.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from transcode.ledger import scripts
from transcode.ledger.notices import Notices
from transcode.ledger.records import JobView, Lane, Lease, LeaseState, NewTask, Progress, Reaped, TaskView, seconds
from transcode.ledger.states import LIVE, State
from transcode.times import DEFAULT, Times

# Answers of a Redis that is there but cannot serve for the moment. The driver has classes for some, and takes their
# names out of the text; before Redis 7, what a script met is told in a text of its own.
_PASSING = (OutOfMemoryError, ReadOnlyError, MasterDownError, ClusterDownError)
_PASSING_WORDS = ("MISCONF", "OOM ", "LOADING", "READONLY", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS")

# Films in one question, and those whose tasks are looked at: Redis does nothing else until it is answered.
_AT_ONCE, _JOBS_AT_ONCE = 500, 10


class LedgerUnavailable(Exception):
    """Redis is away, or takes no writes at the moment; the same call may be repeated later."""


class Ledger:
    """Jobs and tasks of all films. The client stays its owner's to close."""

    def __init__(self, client: Redis, prefix: str = "videoflix:", times: Times = DEFAULT) -> None:
        self._client = client
        self._prefix = prefix
        self._times = times
        self._scripts = {name: client.register_script(source) for name, source in scripts.load().items()}

    @property
    def times(self) -> Times:
        """The time constants that leases and retries follow."""
        return self._times

    def notices(self) -> Notices:
        """A subscription of its own; one per process is enough."""
        return Notices(self._client, self._prefix, self._times)

    # Jobs ---------------------------------------------------------------------------------------------------

    async def start(
        self, film: int, tasks: Sequence[NewTask], last: NewTask, *, total: float = 0, base: float = 0
    ) -> tuple[str, bool]:
        """Open a film's job unless a live one is there; a finished one is replaced.

        `last` runs when all else is done. `total` and `base` are weights: all there is, and what is done already.
        Returns the job's id and whether it is new.
        """
        rows = [task.as_json() for task in tasks]
        job, new = await self._run("start", film=str(film), tasks=rows, last=last.as_json(), total=total, base=base)
        return job, bool(new)

    async def cancel(self, film: int) -> int:
        """Cancel a film's job and interactive segments. Returns how many workers have not let go yet."""
        return int(await self._run("cancel", film=str(film), keep_ms=self._ms(self._times.dead_segment)))

    async def forget(self, film: int) -> None:
        """Remove all that is known of a film's work; leases that are out turn void."""
        await self._run("forget", film=str(film))

    async def raise_priority(self, film: int, task: str) -> bool:
        """Put a task before all others, also one that is yet to be enqueued. False when it is too late."""
        return bool(await self._run("raise", film=str(film), task=task))

    async def held(self, film: int) -> int:
        """How many workers hold a lease of the film, those included that are stopping cancelled work."""
        return int(await self._run("held", film=str(film)))

    # Work ---------------------------------------------------------------------------------------------------

    async def claim(self, lanes: Sequence[Lane], worker: str, token: str | None = None) -> Lease | float | None:
        """Take the first task of the first lane that has one.

        Returns its lease; else the seconds until a retry is due; else None. Repeatable with the same token.
        """
        answer = json.loads(
            await self._run(
                "claim",
                lanes=list(lanes),
                token=token or secrets.token_hex(12),
                worker=worker,
                lease_ms=self._ms(self._times.lease),
            )
        )
        if "lease" in answer:
            return Lease.of(answer["lease"])
        return answer["due"] / 1000 if answer["due"] >= 0 else None

    async def renew(
        self, lease: Lease, progress: float, parts: int = 0, follow_ups: Sequence[NewTask] = ()
    ) -> LeaseState:
        """Extend a lease and report progress (0..1): RUNNING, CANCELLED or LOST."""
        return LeaseState(
            await self._run(
                "renew",
                **lease.as_json(),
                lease_ms=self._ms(self._times.lease),
                progress=round(progress, 4),
                parts=parts,
                follow_ups=[task.as_json() for task in follow_ups],
            )
        )

    async def settle(
        self,
        lease: Lease,
        result: dict[str, Any],
        follow_ups: Sequence[NewTask] = (),
        weights: tuple[float, float] | None = None,
    ) -> LeaseState:
        """Success: SUCCEEDED, CANCELLED or LOST. `weights` are the job's new total and base, once known."""
        total, base = weights or (False, False)
        return LeaseState(
            await self._run(
                "settle",
                **lease.as_json(),
                result=json.dumps(result),
                follow_ups=[task.as_json() for task in follow_ups],
                total=total,
                base=base,
                keep_ms=self._ms(self._times.dead_segment),
            )
        )

    async def fail(
        self, lease: Lease, sentence: str, last_words: str = "", *, hopeless: bool = False, delay: float = 0
    ) -> LeaseState:
        """Failure: RETRYING after `delay` seconds, DEAD, CANCELLED or LOST."""
        return LeaseState(
            await self._run(
                "fail",
                **lease.as_json(),
                sentence=sentence,
                last_words=last_words,
                hopeless=hopeless,
                delay_ms=self._ms(delay),
                keep_ms=self._ms(self._times.dead_segment),
            )
        )

    async def release(self, lease: Lease, delay: float = 0, sentence: str = "") -> LeaseState:
        """Give a task back without spending an attempt, until after `delay` seconds, or let go of a cancelled one."""
        return LeaseState(
            await self._run("release", **lease.as_json(), delay_ms=self._ms(delay), sentence=sentence),
        )

    async def reopen(self, lease: Lease, first: NewTask, sentence: str, last_words: str = "") -> LeaseState:
        """What a task builds on is gone, so its job begins again with `first`: QUEUED, DEAD (this happens too often),
        CANCELLED or LOST. Leases of other tasks stay in force. Not for interactive segments.
        """
        return LeaseState(
            await self._run(
                "reopen",
                **lease.as_json(),
                first=first.as_json(),
                sentence=sentence,
                last_words=last_words,
                keep_ms=self._ms(self._times.dead_segment),
            )
        )

    async def reap(self) -> list[Reaped]:
        """Take back the tasks of workers that stopped renewing, and trim old jobs: to be called often.

        Where nobody called it for half a lease, all have as long once more.
        """
        rows = await self._run(
            "reap",
            sentence="The worker stopped answering.",
            lease_ms=self._ms(self._times.lease),
            longest_ms=self._ms(2 * self._times.backoff_max),
            delay_ms=self._ms(self._times.segment_backoff),
            keep_ms=self._ms(self._times.dead_segment),
            keep_job_ms=self._ms(self._times.keep_job),
            keep_jobs=self._times.keep_jobs,
        )
        return [Reaped.of(row) for row in rows]

    async def leased_tokens(self) -> frozenset[str]:
        """Tokens of all leases that are held."""
        members = await self._guard(self._client.zrange(self._prefix + "leases", 0, -1))
        return frozenset(member.rpartition("|")[2] for member in members)

    async def hold(self, reason: str) -> None:
        """Say for a short while why no work is claimed; "" takes it back."""
        key = self._prefix + "hold"
        if reason:
            await self._guard(self._client.set(key, reason, px=self._ms(3 * self._times.room)))
        else:
            await self._guard(self._client.delete(key))

    # Interactive segments -----------------------------------------------------------------------------------

    async def want(self, film: int, task: NewTask, process: str) -> tuple[LeaseState, str]:
        """Ask for one segment in the name of a web process: its state, and the sentence when it is DEAD."""
        state, sentence = await self._run(
            "want",
            film=str(film),
            spec=task.as_json(),
            process=process,
            interest_ms=self._ms(self._times.interest),
        )
        return LeaseState(state), sentence

    async def unwant(self, film: int, task: NewTask, process: str) -> bool:
        """Withdraw a process's wish. True when nobody else wants it, so that the work was cancelled."""
        answer = await self._run(
            "unwant",
            film=str(film),
            task=task.id,
            rendition=task.rendition,
            number=task.index,
            process=process,
            keep_ms=self._ms(self._times.dead_segment),
        )
        return bool(answer)

    async def film_changed(self, film: int) -> None:
        """Tell every process that something about a film changed."""
        await self._guard(self._client.publish(self._prefix + "film", str(film)))

    # Looking ------------------------------------------------------------------------------------------------

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

    # Plumbing -----------------------------------------------------------------------------------------------

    @staticmethod
    def _ms(value: float) -> int:
        return int(value * 1000)

    async def _run(self, name: str, **arguments: Any) -> Any:
        return await self._guard(
            self._scripts[name](keys=[self._prefix], args=[json.dumps(arguments)]),
        )

    async def _guard(self, call: Any) -> Any:
        """However often the driver tries again, heartbeats need an answer of some kind in time."""
        try:
            async with asyncio.timeout(self._times.answer):
                return _text(await call)
        except NoScriptError as error:  # Redis restarted between the load and the call
            raise LedgerUnavailable(str(error)) from error
        except ResponseError as error:
            if isinstance(error, _PASSING) or any(word in str(error) for word in _PASSING_WORDS):
                raise LedgerUnavailable(str(error)) from error
            raise
        except TimeoutError as error:
            raise LedgerUnavailable("Redis does not answer.") from error
        except (RedisError, OSError) as error:
            raise LedgerUnavailable(str(error)) from error


def _text(answer: Any) -> Any:
    """The same answer from a client that decodes and from one that does not."""
    if isinstance(answer, bytes):
        return answer.decode()
    return [_text(one) for one in answer] if isinstance(answer, list) else answer


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
