"""What goes into the ledger and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from transcode.ledger.states import LIVE, State


class Queue(StrEnum):
    """Where a task waits. A slot claims from one or two lanes, so that short work never waits behind long."""

    ON_DEMAND = "segment"  # a viewer waits for it
    PROBE = "opening"  # makes a new film playable
    AUDIO = "sound"  # a whole film's at once, and its chunks wait for it
    BATCH = "bulk"


@dataclass(frozen=True, slots=True)
class NewTask:
    """One task to enqueue. The smaller priority goes first; `weight` is its share of the job's progress."""

    id: str
    kind: str
    index: int = 0
    rendition: str = ""
    priority: float = 0
    queue: Queue = Queue.BATCH
    weight: float = 1.0
    max_attempts: int = 4  # attempts
    optional: bool = False  # the job goes on without it

    def as_json(self) -> dict[str, Any]:
        """For a script."""
        fields = asdict(self)
        fields["lane"], fields["limit"] = fields.pop("queue"), fields.pop("max_attempts")  # the names in Redis
        return fields


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

    job_id: str
    task_id: str
    token: str
    video_id: int
    kind: str
    index: int
    rendition: str
    attempt: int  # from 1
    max_attempts: int

    @classmethod
    def from_hash(cls, fields: Mapping[str, str]) -> Lease:
        """From a task's hash."""
        return cls(
            fields["job"], fields["id"], fields["token"], int(fields["film"]), fields["kind"],
            int(fields["index"]), fields["rendition"], int(fields["attempts"]), int(fields["limit"]),
        )  # fmt: skip

    def as_json(self) -> dict[str, str]:
        """The proof, for a script."""
        return {"job": self.job_id, "task": self.task_id, "token": self.token}


@dataclass(frozen=True, slots=True)
class ReapedTask:
    """A task whose worker stopped renewing."""

    job_id: str
    task_id: str
    state: State

    @classmethod
    def from_member(cls, member: str) -> ReapedTask:
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
    max_attempts: int
    progress: float
    worker: str
    error: str
    last_words: str
    created_at: float
    claimed_at: float
    ended_at: float
    weight: float

    @classmethod
    def from_hash(cls, fields: Mapping[str, str]) -> TaskView:
        """From a task's hash."""
        return cls(
            id=fields["id"],
            kind=fields["kind"],
            index=int(fields["index"]),
            rendition=fields["rendition"],
            state=State(fields["state"]),
            attempts=int(fields["attempts"]),
            max_attempts=int(fields["limit"]),
            progress=float(fields["progress"]),
            worker=fields.get("worker", ""),
            error=fields.get("error", ""),
            last_words=fields.get("last_words", ""),
            created_at=read_seconds(fields, "created"),
            claimed_at=read_seconds(fields, "claimed"),
            ended_at=read_seconds(fields, "ended"),
            weight=float(fields["weight"]),
        )


@dataclass(frozen=True, slots=True)
class JobView:
    """One film's transcode as admins see it; tasks in the order in which they were enqueued."""

    id: str
    video_id: int
    state: State
    error: str
    waits_for: str  # why nothing is claimed at the moment, "" in ordinary times
    percent: float
    seconds_left: float | None
    created_at: float
    started_at: float
    ended_at: float
    tasks: tuple[TaskView, ...]


_MIN_DONE_SHARE = 0.02  # this much has to be done, beside what is left, before the pace says anything


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is, by weight; `base` was done before it began."""

    video_id: int
    state: State
    total: float
    base: float
    done: float
    elapsed: float  # seconds since its first claim
    pause_reason: str = ""  # why nothing is claimed of any job

    @property
    def waits_for(self) -> str:
        """What has to be there before the work goes on; "" in ordinary times and after the end."""
        return self.pause_reason if self.state in LIVE else ""

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
        if self.state is not State.RUNNING or self.done <= 0 or self.done < _MIN_DONE_SHARE * rest or self.total <= 0:
            return None
        return max(0.0, round(rest * self.elapsed / self.done, 1))


def read_seconds(fields: Mapping[str, str], name: str) -> float:
    """A time of a hash (milliseconds) in seconds; 0 when it is not set."""
    return int(fields.get(name) or 0) / 1000
