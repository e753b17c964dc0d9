"""The pool of processes that run ffmpeg. They keep no state, so any of them may be killed at any time.

One executor per slot: when a child dies, `ProcessPoolExecutor` fails everything that was submitted and breaks. With
an executor per slot, a killed child costs its own task only, and a hung one can be killed without harm to others. For
the same reason, on-demand segments never queue behind batch work.

Children are spawned (the worker has threads) before they are needed, because a viewer may wait for the first task.
They are reused, die with the worker, and ignore the terminal's signals.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from multiprocessing.process import BaseProcess
from types import ModuleType

from transcode.errors import MediaError
from transcode.tasks.context import TaskContext
from transcode.tasks.registry import TaskResult, run_task
from transcode.timing import DEFAULT_TIMING
from transcode.worker import child
from transcode.worker.child import TaskRunner
from transcode.worker.shared_progress import ProgressReading, SharedProgress


class EncoderPool:
    """One child process per slot. A child stops its task after `lease_ttl` seconds without `confirm_lease`."""

    def __init__(
        self, slots: int, run_task: TaskRunner = run_task, lease_ttl: float = DEFAULT_TIMING.lease_ttl_s
    ) -> None:
        self.slots = slots
        self._run_task = run_task
        self._lease_ttl = lease_ttl
        self._shared_progress = SharedProgress(slots)
        self._executors: list[ProcessPoolExecutor | None] = [None] * slots
        self._children: list[BaseProcess | None] = [None] * slots
        self._is_closed = False

    def spawn_all(self) -> None:
        """Spawn all children, without waiting until they are ready. Idempotent."""
        for slot in range(self.slots):
            self._get_executor(slot)

    async def run(self, slot: int, context: TaskContext) -> TaskResult:
        """Run one task, one at a time per slot.

        Raises MediaError, also if the child is killed, or Stopped. Cancelling the call does not stop the child: use
        `request_stop`, and `kill` if it does not stop.
        """
        self._shared_progress.reset(slot)
        try:
            return await asyncio.wrap_future(self._submit(slot, context))
        except BrokenProcessPool:
            self._replace(slot)
            raise MediaError("A process of the pool was killed.") from None

    def confirm_lease(self, slot: int) -> None:
        """Confirm that this worker still holds the lease of a slot's task."""
        self._shared_progress.confirm_lease(slot)

    def request_stop(self, slot: int) -> None:
        """Ask the task of a slot to stop, so that `run` raises Stopped soon."""
        self._shared_progress.request_stop(slot)

    def kill(self, slot: int) -> None:
        """Kill the child of a slot, and its ffmpeg with it. Idempotent."""
        if process := self._children[slot]:
            process.kill()

    def read(self, slot: int) -> ProgressReading:
        """Return the progress of a slot's task."""
        return self._shared_progress.read(slot)

    def close(self) -> None:
        """Kill all children, wait for them, and spawn no more. Idempotent."""
        self._is_closed = True
        for slot, executor in enumerate(self._executors):
            if executor is not None:
                self.kill(slot)
                executor.shutdown(wait=True, cancel_futures=True)
                self._executors[slot] = None

    def _submit(self, slot: int, context: TaskContext) -> Future[TaskResult]:
        try:
            return self._get_executor(slot).submit(child.run, context)
        except BrokenProcessPool:  # the child was killed while idle
            self._replace(slot)
            return self._get_executor(slot).submit(child.run, context)

    def _get_executor(self, slot: int) -> ProcessPoolExecutor:
        executor = self._executors[slot]
        if executor is None:
            if self._is_closed:
                raise MediaError("The worker is leaving.")
            executor = self._executors[slot] = ProcessPoolExecutor(
                max_workers=1,
                mp_context=get_context("spawn"),
                initializer=child.initialize,
                initargs=(self._shared_progress.rows, slot, os.getpid(), self._run_task, self._lease_ttl),
            )
            existing = set(active_children())
            with _without_main_module():
                executor.submit(child.noop)  # the first call spawns the child
            self._children[slot] = next(iter(set(active_children()) - existing), None)
        return executor

    def _replace(self, slot: int) -> None:
        executor, self._executors[slot] = self._executors[slot], None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
        if not self._is_closed:
            self._get_executor(slot)


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep spawned children from importing the parent's main module, here the whole command line."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
