"""What a process of the pool does: it enters once, then does task after task. It imports little, to be there soon."""

from __future__ import annotations

import signal
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

from transcode.errors import MediaError, Stumbled
from transcode.lifeline import die_with
from transcode.tasks.assignment import Assignment, Monitor
from transcode.worker.board import Rows, SlotMonitor

Perform = Callable[[Assignment, Monitor], dict[str, Any]]

_monitor: SlotMonitor
_perform: Perform


def enter(rows: Rows, slot: int, parent: int, perform: Perform, patience: float) -> None:
    """First thing in a child; that `perform` arrives means that its modules are imported."""
    global _monitor, _perform
    die_with(parent)  # elsewhere than on Linux the end of the pipe does it
    # Handlers rather than SIG_IGN: an ignored signal would stay ignored in ffmpeg.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    _monitor, _perform = SlotMonitor(rows[slot], patience), perform


def nothing() -> None:
    """A task that spawns a child and asks nothing of it."""


def do(assignment: Assignment) -> dict[str, Any]:
    """Run one task; what it raises can cross back whatever went wrong."""
    tempfile.tempdir = str(assignment.scratch)  # swept with the attempt, also after a kill
    try:
        return _perform(assignment, _monitor)
    except MediaError:
        raise
    except Exception:
        raise Stumbled(last_words=traceback.format_exc()) from None
