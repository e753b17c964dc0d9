"""What a process of the pool does: it enters once, then does task after task. It imports little, to be there soon."""

from __future__ import annotations

import signal
import tempfile
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from transcode.errors import InternalError, MediaError
from transcode.parent_death import set_parent_death_signal
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.worker.shared_progress import SharedRows, SlotProgressSink

if TYPE_CHECKING:
    from transcode.tasks.registry import TaskResult

TaskRunner = Callable[[TaskContext, ProgressSink], "TaskResult"]

_progress_sink: SlotProgressSink
_run_task: TaskRunner


def initialize(rows: SharedRows, slot: int, parent_pid: int, run_task: TaskRunner, lease_ttl: float) -> None:
    """First thing in a child; that `perform` arrives means that its modules are imported."""
    global _progress_sink, _run_task
    set_parent_death_signal(parent_pid)  # elsewhere than on Linux the end of the pipe does it
    # Handlers rather than SIG_IGN: an ignored signal would stay ignored in ffmpeg.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    _progress_sink, _run_task = SlotProgressSink(rows[slot], lease_ttl), run_task


def noop() -> None:
    """A task that spawns a child and asks nothing of it."""


def run(context: TaskContext) -> TaskResult:
    """Run one task; what it raises can cross back whatever went wrong."""
    tempfile.tempdir = str(context.scratch_dir)  # swept with the attempt, also after a kill
    try:
        return _run_task(context, _progress_sink)
    except MediaError:
        raise
    except Exception:
        raise InternalError(stderr_tail=traceback.format_exc()) from None
