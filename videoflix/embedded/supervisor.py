"""Keeps child processes running until it is told to stop, and then leaves none behind."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from videoflix.embedded import processes

_log = logging.getLogger(__name__)

_MAX_RESTART_DELAY_S = 10.0  # seconds between two starts of a child that keeps failing
_HEALTHY_AFTER_S = 30.0  # seconds after which an earlier failure is forgotten
STOP_GRACE_S = 8.0  # seconds that children usually have to stop: `up` itself has ten


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
    log_offset: int = 0  # bytes of the log that were looked at

    def __post_init__(self) -> None:
        self.log_offset = self._log_size

    def restart(self) -> None:
        """Now."""
        self.log_offset = self._log_size
        self.process = processes.spawn(self.argv, self.log_path, self.env, self.sockets)
        self.started_at, self.restart_at = time.monotonic(), None

    def has_panicked(self) -> bool:
        """Since it was started, and since this was asked before."""
        if self.log_path is None or not self.panic_marker or self._log_size == self.log_offset:
            return False
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_offset - len(self.panic_marker) + 1))
            found = self.panic_marker in log.read()
            self.log_offset = log.tell()
        return found

    @property
    def _log_size(self) -> int:
        return self.log_path.stat().st_size if self.log_path and self.log_path.exists() else 0


class Supervisor:
    """Starts children in order, starts again what ends by itself, stops them in groups, last started first."""

    def __init__(self, grace_s: float = STOP_GRACE_S) -> None:
        self._grace_s = grace_s  # seconds
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
        """One more child of the current group; its output goes to `log`, else to this process's own.

        It inherits the descriptors of `sockets`, however often it is started. When its log has its `last_words` it is
        killed and started again.
        """
        if not self._groups:
            self._groups.append([])
        child = processes.spawn(argv, log_path, env, sockets)
        self._groups[-1].append(_Child(name, argv, env, log_path, sockets, child, panic_marker=panic_marker))

    def next_group(self) -> None:
        """What is started from here on is stopped before what was started so far."""
        self._groups.append([])

    def request_stop(self, *_: object) -> None:
        """End `watch` soon; fit to be a signal handler."""
        self._is_stopping = True

    @property
    def is_stopping(self) -> bool:
        """Whether someone asked."""
        return self._is_stopping

    def watch(self) -> None:
        """Block until a stop is requested; look after the children twice a second."""
        while not self._is_stopping:
            for child in self._children():
                self._check_child(child)
            time.sleep(0.5)

    def wait_for(self, is_ready: Callable[[], bool], timeout_s: float) -> None:
        """Block until it is there, or a stop is requested. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while not self._is_stopping and not is_ready():
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.03)

    def stop(self) -> None:
        """Stop everything; nothing that was started here runs when this returns."""
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
        code, moment = child.process.poll(), time.monotonic()
        if code is None:
            if child.has_panicked():
                _log.error("child killed name=%s: it answers nothing any more", child.name)
                child.process.kill()
            return
        if child.restart_at is None:
            child.failures = 1 if moment - child.started_at > _HEALTHY_AFTER_S else child.failures + 1
            child.restart_at = moment + min(_MAX_RESTART_DELAY_S, 0.25 * 2**child.failures)
            _log.error(
                "child ended name=%s code=%s starting_again_in=%.1fs", child.name, code, child.restart_at - moment
            )
        elif moment >= child.restart_at:
            child.restart()


def _kill_group(process_group_id: int) -> None:
    """Grandchildren that outlived their parent."""
    try:
        os.killpg(process_group_id, signal.SIGKILL)
    except ProcessLookupError:
        return
