"""What goes into the ledger and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from transcode.ledger.states import LIVE, State


class Lane(StrEnum):
    """Where a task waits. A slot claims from one or two lanes, so that short work never waits behind long."""

    SEGMENT = "segment"  # a viewer waits for it
    OPENING = "opening"  # makes a new film playable
    SOUND = "sound"  # a whole film's at once, and its chunks wait for it
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class NewTask:
    """One task to enqueue. The smaller priority goes first; `weight` is its share of the job's progress."""

    id: str
    kind: str
    index: int = 0
    rendition: str = ""
    priority: float = 0
    lane: Lane = Lane.BULK
    weight: float = 1.0
    limit: int = 4  # attempts
    optional: bool = False  # the job goes on without it

    def as_json(self) -> dict[str, Any]:
        """For a script."""
        return asdict(self)


class LeaseState(StrEnum):
    """What a script answers to whoever proves a lease."""

    RUNNING = "running"
    QUEUED = "queued"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"
    LOST = "lost"  # reaped, forgotten, or Redis was emptied


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one task; `token` proves it in every later write."""

    job: str
    task: str
    token: str
    film: int
    kind: str
    index: int
    rendition: str
    attempt: int  # from 1
    limit: int

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Lease:
        """From a task's hash."""
        return cls(
            fields["job"], fields["id"], fields["token"], int(fields["film"]), fields["kind"],
            int(fields["index"]), fields["rendition"], int(fields["attempts"]), int(fields["limit"]),
        )  # fmt: skip

    def as_json(self) -> dict[str, str]:
        """The proof, for a script."""
        return {"job": self.job, "task": self.task, "token": self.token}


@dataclass(frozen=True, slots=True)
class Reaped:
    """A task whose worker stopped renewing."""

    job: str
    task: str
    state: State

    @classmethod
    def of(cls, member: str) -> Reaped:
        """From "<job>|<task>|<state>"."""
        job, task, state = member.split("|")
        return cls(job, task, State(state))


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task as admins see it. Times are Unix seconds, 0 when not yet; progress is 0..1."""

    id: str
    kind: str
    index: int
    rendition: str
    state: State
    attempts: int
    limit: int
    progress: float
    worker: str
    error: str
    last_words: str
    created_at: float
    claimed_at: float
    ended_at: float
    weight: float

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> TaskView:
        """From a task's hash."""
        return cls(
            id=fields["id"],
            kind=fields["kind"],
            index=int(fields["index"]),
            rendition=fields["rendition"],
            state=State(fields["state"]),
            attempts=int(fields["attempts"]),
            limit=int(fields["limit"]),
            progress=float(fields["progress"]),
            worker=fields.get("worker", ""),
            error=fields.get("error", ""),
            last_words=fields.get("last_words", ""),
            created_at=seconds(fields, "created"),
            claimed_at=seconds(fields, "claimed"),
            ended_at=seconds(fields, "ended"),
            weight=float(fields["weight"]),
        )


@dataclass(frozen=True, slots=True)
class JobView:
    """One film's transcode as admins see it; tasks in the order in which they were enqueued."""

    id: str
    film: int
    state: State
    error: str
    waits_for: str  # why nothing is claimed at the moment, "" in ordinary times
    percent: float
    seconds_left: float | None
    created_at: float
    started_at: float
    ended_at: float
    tasks: tuple[TaskView, ...]


_TELLING = 0.02  # this much has to be done, beside what is left, before the pace says anything


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is, by weight; `base` was done before it began."""

    film: int
    state: State
    total: float
    base: float
    done: float
    elapsed: float  # seconds since its first claim
    hold: str = ""  # why nothing is claimed of any job

    @property
    def waits_for(self) -> str:
        """What has to be there before the work goes on; "" in ordinary times and after the end."""
        return self.hold if self.state in LIVE else ""

    @property
    def percent(self) -> float:
        """0..100; 100 only after the end."""
        if self.state is State.SUCCEEDED:
            return 100.0
        if self.total <= 0:
            return 0.0
        return min(99.0, round(100 * (self.base + self.done) / self.total, 1))

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the pace so far; None while there is nothing to go by: what waits its turn has no pace."""
        if self.state is State.SUCCEEDED:
            return 0.0
        rest = self.total - self.base - self.done
        if self.state is not State.RUNNING or self.done <= 0 or self.done < _TELLING * rest or self.total <= 0:
            return None
        return max(0.0, round(rest * self.elapsed / self.done, 1))


def seconds(fields: Mapping[str, str], name: str) -> float:
    """A time of a hash (milliseconds) in seconds; 0 when it is not set."""
    return int(fields.get(name) or 0) / 1000
