"""Memory shared by the worker and its pool children: the progress of tasks, and whether they should stop.

One row per slot. The child writes progress and parts; the worker writes the stop flag and the time at which it last
confirmed its lease. Every field is one aligned machine word with one writer, so no lock is needed.
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
    """The progress that a child reported: a fraction 0..1, and the number of finished parts (audio files of chunks)."""

    progress: float
    parts_done: int


class SlotProgressSink:
    """The child's side of one row, to which tasks report.

    A task also stops when the worker has not confirmed its lease for `lease_ttl` seconds: a worker that hangs has lost
    the lease and cannot say so.
    """

    def __init__(self, row: _SharedRow, lease_ttl: float) -> None:
        self._row = row
        self._lease_ttl = lease_ttl

    def report_progress(self, fraction: float) -> None:
        """Report the fraction of the task that is done, 0..1."""
        self._row.progress = fraction

    def report_parts(self, count: int) -> None:
        """Report the number of parts that are complete on disk."""
        self._row.parts = count

    def is_stop_requested(self) -> bool:
        """Return whether the task should stop."""
        return bool(self._row.stop) or time.monotonic() - self._row.owned_at > self._lease_ttl


class SharedRows:
    """The shared memory itself. It can be passed to a child only while that is spawned."""

    def __init__(self, slots: int) -> None:
        self._rows = get_context("spawn").RawArray(_SharedRow, slots)

    def __getitem__(self, slot: int) -> _SharedRow:
        return self._rows[slot]


class SharedProgress:
    """The worker's side."""

    def __init__(self, slots: int) -> None:
        self.rows = SharedRows(slots)

    def reset(self, slot: int) -> None:
        """Clear a row before a task starts."""
        row = self.rows[slot]
        row.progress, row.parts, row.stop, row.owned_at = 0.0, 0, 0, time.monotonic()

    def read(self, slot: int) -> ProgressReading:
        """Return what the child of a slot has reported."""
        row = self.rows[slot]
        return ProgressReading(row.progress, row.parts)

    def confirm_lease(self, slot: int) -> None:
        """Record that the worker still holds the lease of a slot's task."""
        self.rows[slot].owned_at = time.monotonic()

    def request_stop(self, slot: int) -> None:
        """Ask the task of a slot to stop."""
        self.rows[slot].stop = 1
