"""Shared memory between the worker and its pool children: how far a task is, and whether it should stop.

One row per slot, written by one side each: the child writes progress, parts and its process id; the worker
writes the stop flag. Every field is one aligned machine word, so no lock is needed.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from multiprocessing import get_context


class _Row(ctypes.Structure):
    _fields_ = [
        ("progress", ctypes.c_double),
        ("parts", ctypes.c_long),
        ("stop", ctypes.c_long),
        ("pid", ctypes.c_long),
    ]

    progress: float
    parts: int
    stop: int
    pid: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a child has reported: progress 0..1, finished parts (audio files of whole chunks)."""

    progress: float
    parts: int


class SlotMonitor:
    """The child's side of one row: the `Monitor` that `perform` reports to."""

    def __init__(self, row: _Row) -> None:
        self._row = row

    def progress(self, done: float) -> None:
        """How much of the task is done, 0..1."""
        self._row.progress = done

    def parts(self, count: int) -> None:
        """How many parts are complete on disk."""
        self._row.parts = count

    def stopped(self) -> bool:
        """Whether the task should be left as it is."""
        return bool(self._row.stop)


class Rows:
    """The memory itself; it reaches a child only while that is being spawned."""

    def __init__(self, slots: int) -> None:
        self._rows = get_context("spawn").RawArray(_Row, slots)

    def __getitem__(self, slot: int) -> _Row:
        return self._rows[slot]


class Board:
    """The worker's side."""

    def __init__(self, slots: int) -> None:
        self.rows = Rows(slots)

    def clear(self, slot: int) -> None:
        """Before a task: nothing done, nothing asked."""
        row = self.rows[slot]
        row.progress, row.parts, row.stop = 0.0, 0, 0

    def read(self, slot: int) -> Reading:
        """What the child of a slot has reported."""
        row = self.rows[slot]
        return Reading(row.progress, row.parts)

    def stop(self, slot: int) -> None:
        """Ask the task of a slot to stop."""
        self.rows[slot].stop = 1

    def pid(self, slot: int) -> int:
        """The child's process id; 0 while there is none."""
        return self.rows[slot].pid

    def forget_child(self, slot: int) -> None:
        """The child of a slot is gone."""
        self.rows[slot].pid = 0
