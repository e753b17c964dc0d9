"""A supervisor: keeps child processes running until a stop is requested, then stops all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from videoflix.embedded import processes

_log = structlog.get_logger(__name__)

_MAX_RESTART_DELAY_S = 10.0  # between two starts of a child that keeps failing
_HEALTHY_AFTER_S = 30.0  # a child that ran for so long starts counting failures anew
STOP_GRACE_S = 8.0  # for children to stop; service managers usually give `up` itself ten seconds


@dataclass(slots=True)
class _Child:
    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log_path: Path | None
    sockets: Sequence[int]
    process: subprocess.Popen[bytes]
    started_at: float = field(default_factory=time.monotonic)
    failures: int = 0
    restart_at: float | None = None
    panic_marker: bytes = b""
    log_offset: int = 0  # bytes of the log that were searched

    def __post_init__(self) -> None:
        self.log_offset = self._log_size

    def restart(self) -> None:
        """Start the child again, now."""
        self.log_offset = self._log_size
        self.process = processes.spawn(self.argv, self.log_path, self.env, self.sockets)
        self.started_at, self.restart_at = time.monotonic(), None

    def has_panicked(self) -> bool:
        """Return whether the panic marker was logged since the last start or the last call."""
        if self.log_path is None or not self.panic_marker or self._log_size == self.log_offset:
            return False
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_offset - len(self.panic_marker) + 1))
            has_panicked = self.panic_marker in log.read()
            self.log_offset = log.tell()
        return has_panicked

    @property
    def _log_size(self) -> int:
        return self.log_path.stat().st_size if self.log_path and self.log_path.exists() else 0


class Supervisor:
    """Starts children in groups, restarts those that end, and stops the groups in reverse order."""

    def __init__(self, grace_s: float = STOP_GRACE_S) -> None:
        self._grace_s = grace_s
        self._groups: list[list[_Child]] = []
        self._is_stopping = False

    def start(
        self,
        name: str,
        argv: tuple[str, ...],
        env: Mapping[str, str],
        log_path: Path | None = None,
        sockets: Sequence[int] = (),
        panic_marker: bytes = b"",
    ) -> None:
        """Start a child in the current group.

        Its output is appended to `log_path`, or shares this process's stdout and stderr. It inherits the descriptors in
        `sockets` at each start. When `panic_marker` appears in its log, it is killed and started again.
        """
        if not self._groups:
            self._groups.append([])
        child = processes.spawn(argv, log_path, env, sockets)
        self._groups[-1].append(_Child(name, argv, env, log_path, sockets, child, panic_marker=panic_marker))

    def next_group(self) -> None:
        """Begin a new group. Children started from now on stop before those started so far."""
        self._groups.append([])

    def request_stop(self, *_: object) -> None:
        """Make `watch` return soon. Can be used as a signal handler."""
        self._is_stopping = True

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was requested."""
        return self._is_stopping

    def watch(self) -> None:
        """Restart children that end, until a stop is requested. Polls twice a second."""
        while not self._is_stopping:
            for child in self._children():
                self._check_child(child)
            time.sleep(0.5)

    def wait_for(self, is_ready: Callable[[], bool], timeout_s: float) -> None:
        """Block until `is_ready()` is true or a stop is requested. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while not self._is_stopping and not is_ready():
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.03)

    def stop(self) -> None:
        """Stop all children and their descendants, and return when none is left."""
        for group in reversed(self._groups):
            for child in group:
                if child.process.poll() is None:
                    child.process.terminate()
            deadline = time.monotonic() + self._grace_s
            for child in group:
                processes.stop(child.process, max(0.1, deadline - time.monotonic()))
                _kill_group(child.process.pid)

    def _children(self) -> list[_Child]:
        return [child for group in self._groups for child in group]

    def _check_child(self, child: _Child) -> None:
        exit_code, moment = child.process.poll(), time.monotonic()
        if exit_code is None:
            if child.has_panicked():
                _log.error("child_killed", child=child.name, reason="it panicked and no longer responds")
                child.process.kill()
            return
        if child.restart_at is None:
            child.failures = 1 if moment - child.started_at > _HEALTHY_AFTER_S else child.failures + 1
            child.restart_at = moment + min(_MAX_RESTART_DELAY_S, 0.25 * 2**child.failures)
            delay_s = round(child.restart_at - moment, 1)
            _log.error("child_ended", child=child.name, exit_code=exit_code, restart_in_s=delay_s)
        elif moment >= child.restart_at:
            child.restart()


def _kill_group(process_group_id: int) -> None:
    """Kill descendants of a child that outlived it."""
    try:
        os.killpg(process_group_id, signal.SIGKILL)
    except ProcessLookupError:
        return
