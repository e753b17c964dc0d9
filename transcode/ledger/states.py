"""The states of a job and of its tasks, and every move between them. Only a Lua script moves anything.

`scripts.py` renders `MOVES` into each script, which refuses any other move: this table is the only one.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a task or a whole job stands."""

    QUEUED = "queued"
    RETRYING = "retrying"  # failed, and waits for its next attempt
    RUNNING = "running"  # a job: since its first claim
    SUCCEEDED = "succeeded"
    DEAD = "dead"  # hopeless, or all attempts are spent
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
