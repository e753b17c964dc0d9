"""The hands: processes that run ffmpeg, and survive nothing, so that the ledger need not care.

One executor per slot. When a child dies, `ProcessPoolExecutor` fails all that was submitted and is dead
itself; with an executor of its own, a killed slot costs its own task alone, and a hung child can be killed
without harm to others. Segments that viewers wait for are never behind bulk work for the same reason.

Children are spawned (the worker has threads) before they are needed, since a viewer may wait for the first task;
are reused for task after task, die with the worker, and leave signals of the terminal to it.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from transcode.assignment import Assignment, Monitor
from transcode.board import Board, Reading, Rows, SlotMonitor
from transcode.errors import MediaError
from transcode.times import DEFAULT
from transcode.work import perform

Perform = Callable[[Assignment, Monitor], dict[str, Any]]

_PR_SET_PDEATHSIG = 1


class Hands:
    """One child process per slot. `patience`: seconds without `owned` after which a child stops its task."""

    def __init__(self, slots: int, perform: Perform = perform, patience: float = DEFAULT.lease) -> None:
        self.slots = slots
        self._perform = perform
        self._patience = patience
        self._board = Board(slots)
        self._executors: list[ProcessPoolExecutor | None] = [None] * slots
        self._children: list[BaseProcess | None] = [None] * slots
        self._closed = False

    def warm(self) -> None:
        """Spawn all children now; returns before they are ready. Repeatable."""
        for slot in range(self.slots):
            self._executor(slot)

    async def run(self, slot: int, assignment: Assignment) -> dict[str, Any]:
        """Do one task; one at a time per slot.

        Raises MediaError (also when the child was killed) or Stopped. Cancelling the call does not stop the
        child: ask for it with `stop`, insist with `kill`.
        """
        self._board.clear(slot)
        try:
            return await asyncio.wrap_future(self._submit(slot, assignment))
        except BrokenProcessPool:
            self._replace(slot)
            raise MediaError("A process of the pool was killed.") from None

    def owned(self, slot: int) -> None:
        """The task of a slot is still this worker's own; a child that does not hear so for long stops it."""
        self._board.owned(slot)

    def stop(self, slot: int) -> None:
        """Ask the task of a slot to stop; `run` raises Stopped soon."""
        self._board.stop(slot)

    def kill(self, slot: int) -> None:
        """Kill the child of a slot; its ffmpeg dies with it. Repeatable."""
        if child := self._children[slot]:
            child.kill()

    def read(self, slot: int) -> Reading:
        """How far the task of a slot is."""
        return self._board.read(slot)

    def close(self) -> None:
        """Kill all children and wait for them. Repeatable; nothing is spawned any more."""
        self._closed = True
        for slot, executor in enumerate(self._executors):
            if executor is not None:
                self.kill(slot)
                executor.shutdown(wait=True, cancel_futures=True)
                self._executors[slot] = None

    def _submit(self, slot: int, assignment: Assignment) -> Future[dict[str, Any]]:
        try:
            return self._executor(slot).submit(_do, assignment)
        except BrokenProcessPool:  # the child was killed while it had nothing to do
            self._replace(slot)
            return self._executor(slot).submit(_do, assignment)

    def _executor(self, slot: int) -> ProcessPoolExecutor:
        executor = self._executors[slot]
        if executor is None:
            if self._closed:
                raise MediaError("The worker is leaving.")
            executor = self._executors[slot] = ProcessPoolExecutor(
                max_workers=1,
                mp_context=get_context("spawn"),
                initializer=_enter,
                initargs=(self._board.rows, slot, os.getpid(), self._perform, self._patience),
            )
            others = set(active_children())
            with _no_main():
                executor.submit(_nothing)  # the first call spawns the child
            self._children[slot] = next(iter(set(active_children()) - others), None)
        return executor

    def _replace(self, slot: int) -> None:
        executor, self._executors[slot] = self._executors[slot], None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
        if not self._closed:
            self._executor(slot)


@contextmanager
def _no_main() -> Iterator[None]:
    """Spawned children import the parent's main module, here a whole command line that they have no use for."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


# In a child ---------------------------------------------------------------------------------------------------

_monitor: SlotMonitor
_perform: Perform


def _enter(rows: Rows, slot: int, parent: int, perform: Perform, patience: float) -> None:
    """First thing in a child; that `perform` arrives means that its modules are imported."""
    global _monitor, _perform
    _die_with(parent)
    # Handlers rather than SIG_IGN: an ignored signal would stay ignored in ffmpeg.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    _monitor, _perform = SlotMonitor(rows[slot], patience), perform


def _die_with(parent: int) -> None:
    """Be killed by the kernel when the worker ends, however it ends (Linux; elsewhere the pipe's end does it)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)


def _nothing() -> None:
    """A task that spawns a child and asks nothing of it."""


def _do(assignment: Assignment) -> dict[str, Any]:
    """Run one task; what it raises can cross back whatever went wrong."""
    tempfile.tempdir = str(assignment.scratch)  # swept with the attempt, also after a kill
    try:
        return _perform(assignment, _monitor)
    except MediaError:
        raise
    except Exception:
        raise MediaError("The worker stumbled over an error of its own.", last_words=traceback.format_exc()) from None
