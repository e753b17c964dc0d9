"""Shared memory between the worker and its pool children: how far a task is, and whether it should stop.

One row per slot, written by one side each: the child writes progress and parts; the worker writes the stop flag,
and when it last knew that the task is its own. Every field is one aligned machine word, so no lock is needed.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from multiprocessing import get_context


class _SharedRow(ctypes.Structure):
    _fields_ = [
        ("progress", ctypes.c_double),
        ("parts", ctypes.c_long),
        ("stop", ctypes.c_long),
        ("owned_at", ctypes.c_double),  # on the monotonic clock, which all processes of a machine share
    ]

    progress: float
    parts: int
    stop: int
    owned_at: float


@dataclass(frozen=True, slots=True)
class ProgressReading:
    """What a child has reported: progress 0..1, finished parts (audio files of whole chunks)."""

    progress: float
    parts_done: int


class SlotProgressSink:
    """The child's side of one row: the `Monitor` that `perform` reports to.

    A worker that stood still for `patience` seconds has lost its lease, and can tell nobody: its children stop.
    """

    def __init__(self, row: _SharedRow, lease_ttl: float) -> None:
        self._row = row
        self._lease_ttl = lease_ttl

    def report_progress(self, fraction: float) -> None:
        """How much of the task is done, 0..1."""
        self._row.progress = fraction

    def report_parts(self, count: int) -> None:
        """How many parts are complete on disk."""
        self._row.parts = count

    def is_stop_requested(self) -> bool:
        """Whether the task should be left as it is."""
        return bool(self._row.stop) or time.monotonic() - self._row.owned_at > self._lease_ttl


class SharedRows:
    """The memory itself; it reaches a child only while that is being spawned."""

    def __init__(self, slots: int) -> None:
        self._rows = get_context("spawn").RawArray(_SharedRow, slots)

    def __getitem__(self, slot: int) -> _SharedRow:
        return self._rows[slot]


class SharedProgress:
    """The worker's side."""

    def __init__(self, slots: int) -> None:
        self.rows = SharedRows(slots)

    def reset(self, slot: int) -> None:
        """Before a task: nothing done, nothing asked."""
        row = self.rows[slot]
        row.progress, row.parts, row.stop, row.owned_at = 0.0, 0, 0, time.monotonic()

    def read(self, slot: int) -> ProgressReading:
        """What the child of a slot has reported."""
        row = self.rows[slot]
        return ProgressReading(row.progress, row.parts)

    def confirm_lease(self, slot: int) -> None:
        """The task of a slot is still this worker's own."""
        self.rows[slot].owned_at = time.monotonic()

    def request_stop(self, slot: int) -> None:
        """Ask the task of a slot to stop."""
        self.rows[slot].stop = 1
