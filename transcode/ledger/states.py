"""The states of jobs and tasks and the transitions between them. Only Lua scripts change a state.

`scripts.py` renders `TRANSITIONS` into each script, which refuses any other transition: this table is the only one.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The state of a task or a job."""

    QUEUED = "queued"
    RETRYING = "retrying"  # failed, waiting for its next attempt
    RUNNING = "running"  # of a job: since its first claim
    SUCCEEDED = "succeeded"
    DEAD = "dead"  # failed permanently, or out of attempts
    CANCELLED = "cancelled"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED}),
    State.RETRYING: frozenset({State.RUNNING, State.CANCELLED}),
    State.RUNNING: frozenset(
        {State.SUCCEEDED, State.RETRYING, State.DEAD, State.QUEUED, State.CANCELLED},
    ),
    State.SUCCEEDED: frozenset(),
    State.DEAD: frozenset(),
    State.CANCELLED: frozenset(),
}

LIVE = frozenset({State.QUEUED, State.RETRYING, State.RUNNING})
