"""The code of a pool child: it is initialized once, then runs task after task. Imports little, to start quickly."""

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
    """Initialize a child process. Unpickling `run_task` has imported the modules of all tasks."""
    global _progress_sink, _run_task
    set_parent_death_signal(parent_pid)  # on other systems than Linux, the closed pipe ends the child
    # Handlers rather than SIG_IGN: an ignored signal would stay ignored in ffmpeg.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    _progress_sink, _run_task = SlotProgressSink(rows[slot], lease_ttl), run_task


def noop() -> None:
    """Do nothing. Submitted to make the executor spawn its child."""


def run(context: TaskContext) -> TaskResult:
    """Run one task. Unexpected errors become InternalError, because not every exception can be pickled."""
    tempfile.tempdir = str(context.scratch_dir)  # removed with the attempt, even after a kill
    try:
        return _run_task(context, _progress_sink)
    except MediaError:
        raise
    except Exception:
        raise InternalError(stderr_tail=traceback.format_exc()) from None
