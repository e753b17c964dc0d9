"""Records that go into the ledger and come out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from transcode.ledger.states import LIVE, State


class Queue(StrEnum):
    """A queue of tasks. A slot claims from one or two queues, so that short tasks never wait behind long ones.

    The values are the names in Redis.
    """

    ON_DEMAND = "segment"  # segments that viewers wait for
    PROBE = "opening"  # makes a new video playable
    AUDIO = "sound"  # the audio of a whole video, which its chunks need
    BATCH = "bulk"


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to enqueue. Smaller priorities go first; `weight` is the task's share of the job's progress."""

    id: str
    kind: str
    index: int = 0
    rendition: str = ""
    priority: float = 0
    queue: Queue = Queue.BATCH
    weight: float = 1.0
    max_attempts: int = 4
    optional: bool = False  # the job continues if this task fails for good

    def as_json(self) -> dict[str, Any]:
        """Return the task as scripts expect it."""
        fields = asdict(self)
        fields["lane"], fields["limit"] = fields.pop("queue"), fields.pop("max_attempts")  # as in Redis
        return fields


class LeaseState(StrEnum):
    """What a script answers to the holder of a lease."""

    RUNNING = "running"
    QUEUED = "queued"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"
    LOST = "lost"  # reaped, forgotten, or Redis was emptied


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run one task. `token` proves it in every later call."""

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
        """Build it from a task's hash."""
        return cls(
            fields["job"], fields["id"], fields["token"], int(fields["film"]), fields["kind"],
            int(fields["index"]), fields["rendition"], int(fields["attempts"]), int(fields["limit"]),
        )  # fmt: skip

    def as_json(self) -> dict[str, str]:
        """Return the identity of the lease as scripts expect it."""
        return {"job": self.job_id, "task": self.task_id, "token": self.token}


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Nothing can be claimed now, but a failed task becomes due in `delay_s` seconds."""

    delay_s: float


Claim: TypeAlias = Lease | RetryLater | None  # None: no task is queued or due later


class OpenedJob(NamedTuple):
    """The job of a video, and whether it was opened by this call."""

    job_id: str
    is_new: bool


class SegmentRequest(NamedTuple):
    """The state of a requested segment's task; `message` says why it is DEAD."""

    state: LeaseState
    message: str


@dataclass(frozen=True, slots=True)
class ReapedTask:
    """A task whose lease expired, and its new state."""

    job_id: str
    task_id: str
    state: State

    @classmethod
    def from_member(cls, member: str) -> ReapedTask:
        """Build it from "<job>|<task>|<state>"."""
        job_id, task_id, state = member.split("|")
        return cls(job_id, task_id, State(state))


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task as admins see it. Times are Unix seconds, 0 if it has not happened; progress is 0..1."""

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
        """Build it from a task's hash."""
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
    """One video's job as admins see it. Tasks are in the order in which they were enqueued."""

    id: str
    video_id: int
    state: State
    error: str
    waits_for: str  # why nothing is claimed at the moment, else ""
    percent: float
    seconds_left: float | None
    created_at: float
    started_at: float
    ended_at: float
    tasks: tuple[TaskView, ...]


_MIN_DONE_SHARE = 0.02  # of the remaining weight: with less done, the pace is no basis for an estimate


@dataclass(frozen=True, slots=True)
class JobProgress:
    """The progress of a job, by weight; `base` was done before it began."""

    video_id: int
    state: State
    total: float
    base: float
    done: float
    elapsed: float  # seconds since its first claim
    pause_reason: str = ""  # why no task of any job is claimed

    @property
    def waits_for(self) -> str:
        """The missing resource that pauses the job; "" if it is not paused or has ended."""
        return self.pause_reason if self.state in LIVE else ""

    @property
    def percent(self) -> float:
        """Percent done, 0..100; 100 only after the end."""
        if self.state is State.SUCCEEDED:
            return 100.0
        if self.total <= 0:
            return 0.0
        return min(99.0, round(100 * (self.base + self.done) / self.total, 1))

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end at the pace so far; None without a basis, as for a job that waits its turn."""
        if self.state is State.SUCCEEDED:
            return 0.0
        remaining = self.total - self.base - self.done
        if self.state is not State.RUNNING or self.done <= 0 or self.total <= 0:
            return None
        if self.done < _MIN_DONE_SHARE * remaining:
            return None
        return max(0.0, round(remaining * self.elapsed / self.done, 1))


def read_seconds(fields: Mapping[str, str], name: str) -> float:
    """Return a time of a hash (milliseconds) in seconds; 0 if it is not set."""
    return int(fields.get(name) or 0) / 1000
