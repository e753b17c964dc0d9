"""The hands: processes that run ffmpeg, and survive nothing, so that the ledger need not care.

One executor per slot. When a child dies, `ProcessPoolExecutor` fails all that was submitted and is dead
itself; with an executor of its own, a killed slot costs its own task alone, and a hung child can be killed
without harm to others. Segments that viewers wait for are never behind bulk work for the same reason.

Children are spawned (the worker has threads), are reused for task after task, die with the worker, and leave
signals of the terminal to it.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from transcode.assignment import Assignment, Monitor
from transcode.board import Board, Reading, Rows, SlotMonitor
from transcode.errors import MediaError, Stopped
from transcode.work import perform

Perform = Callable[[Assignment, Monitor], dict[str, Any]]

_PR_SET_PDEATHSIG = 1

_monitor: SlotMonitor  # of this child; set once when it is spawned


class Hands:
    """One child process per slot, spawned at its first task."""

    def __init__(self, slots: int, perform: Perform = perform) -> None:
        self.slots = slots
        self._perform = perform
        self._board = Board(slots)
        self._executors: list[ProcessPoolExecutor | None] = [None] * slots

    async def run(self, slot: int, assignment: Assignment) -> dict[str, Any]:
        """Do one task; one at a time per slot.

        Raises MediaError (also when the child was killed) or Stopped. Cancelling the call does not stop the
        child: ask for it with `stop`, insist with `kill`.
        """
        self._board.clear(slot)
        try:
            return await asyncio.wrap_future(self._submit(slot, assignment))
        except BrokenProcessPool:
            self._drop(slot)
            raise MediaError("A process of the pool was killed.") from None

    def stop(self, slot: int) -> None:
        """Ask the task of a slot to stop; `run` raises Stopped soon."""
        self._board.stop(slot)

    def kill(self, slot: int) -> None:
        """Kill the child of a slot; its ffmpeg dies with it. Repeatable."""
        if pid := self._board.pid(slot):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                self._board.forget_child(slot)

    def read(self, slot: int) -> Reading:
        """How far the task of a slot is."""
        return self._board.read(slot)

    def close(self) -> None:
        """Kill all children and wait for them. Repeatable."""
        for slot, executor in enumerate(self._executors):
            if executor is not None:
                self.kill(slot)
                executor.shutdown(wait=True, cancel_futures=True)
                self._executors[slot] = None

    def _submit(self, slot: int, assignment: Assignment) -> Future[dict[str, Any]]:
        try:
            return self._executor(slot).submit(_do, self._perform, assignment)
        except BrokenProcessPool:  # the child was killed while it had nothing to do
            self._drop(slot)
            return self._executor(slot).submit(_do, self._perform, assignment)

    def _executor(self, slot: int) -> ProcessPoolExecutor:
        executor = self._executors[slot]
        if executor is None:
            executor = self._executors[slot] = ProcessPoolExecutor(
                max_workers=1,
                mp_context=get_context("spawn"),
                initializer=_enter,
                initargs=(self._board.rows, slot, os.getpid()),
            )
        return executor

    def _drop(self, slot: int) -> None:
        executor, self._executors[slot] = self._executors[slot], None
        self._board.forget_child(slot)
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)


def _enter(rows: Rows, slot: int, parent: int) -> None:
    """First thing in a child."""
    global _monitor
    _die_with(parent)
    # Handlers rather than SIG_IGN: an ignored signal would stay ignored in ffmpeg.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    rows[slot].pid = os.getpid()
    _monitor = SlotMonitor(rows[slot])


def _die_with(parent: int) -> None:
    """Be killed by the kernel when the worker ends, however it ends (Linux; elsewhere the pipe's end does it)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)


def _do(perform: Perform, assignment: Assignment) -> dict[str, Any]:
    """Run one task in the child; what it raises can cross back whatever went wrong."""
    try:
        return perform(assignment, _monitor)
    except (MediaError, Stopped):
        raise
    except Exception:
        raise MediaError("The worker stumbled over an error of its own.", last_words=traceback.format_exc()) from None
