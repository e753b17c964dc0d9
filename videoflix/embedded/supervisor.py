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

_LONGEST_PAUSE = 10.0  # seconds between two starts of a child that keeps failing
_HEALTHY = 30.0  # seconds after which an earlier failure is forgotten
GRACE = 8.0  # seconds that children usually have to stop: `up` itself has ten


@dataclass(slots=True)
class _Child:
    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log: Path | None
    sockets: Sequence[int]
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)
    failures: int = 0
    again_at: float | None = None
    last_words: bytes = b""
    read: int = 0  # bytes of the log that were looked at

    def __post_init__(self) -> None:
        self.read = self._written

    def start_again(self) -> None:
        """Now."""
        self.read = self._written
        self.process = processes.spawn(self.argv, self.log, self.env, self.sockets)
        self.started, self.again_at = time.monotonic(), None

    def has_said_its_last_words(self) -> bool:
        """Since it was started, and since this was asked before."""
        if self.log is None or not self.last_words or self._written == self.read:
            return False
        with self.log.open("rb") as log:
            log.seek(max(0, self.read - len(self.last_words) + 1))
            found = self.last_words in log.read()
            self.read = log.tell()
        return found

    @property
    def _written(self) -> int:
        return self.log.stat().st_size if self.log and self.log.exists() else 0


class Supervisor:
    """Starts children in order, starts again what ends by itself, stops them in groups, last started first."""

    def __init__(self, grace: float = GRACE) -> None:
        self._grace = grace  # seconds
        self._groups: list[list[_Child]] = []
        self._is_stopping = False

    def start(
        self,
        name: str,
        argv: tuple[str, ...],
        env: Mapping[str, str],
        log: Path | None = None,
        sockets: Sequence[int] = (),
        last_words: bytes = b"",
    ) -> None:
        """One more child of the current group; its output goes to `log`, else to this process's own.

        It inherits the descriptors of `sockets`, however often it is started. When its log has its `last_words` it is
        killed and started again.
        """
        if not self._groups:
            self._groups.append([])
        child = processes.spawn(argv, log, env, sockets)
        self._groups[-1].append(_Child(name, argv, env, log, sockets, child, last_words=last_words))

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
                self._look_after(child)
            time.sleep(0.5)

    def wait_for(self, is_there: Callable[[], bool], seconds: float) -> None:
        """Block until it is there, or a stop is requested. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while not self._is_stopping and not is_there():
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.03)

    def stop(self) -> None:
        """Stop everything; nothing that was started here runs when this returns."""
        for group in reversed(self._groups):
            for child in group:
                if child.process.poll() is None:
                    child.process.terminate()
            deadline = time.monotonic() + self._grace
            for child in group:
                processes.stop(child.process, max(0.1, deadline - time.monotonic()))
                _end_group(child.process.pid)

    def _children(self) -> list[_Child]:
        return [child for group in self._groups for child in group]

    def _look_after(self, child: _Child) -> None:
        code, moment = child.process.poll(), time.monotonic()
        if code is None:
            if child.has_said_its_last_words():
                _log.error("child killed name=%s: it answers nothing any more", child.name)
                child.process.kill()
            return
        if child.again_at is None:
            child.failures = 1 if moment - child.started > _HEALTHY else child.failures + 1
            child.again_at = moment + min(_LONGEST_PAUSE, 0.25 * 2**child.failures)
            _log.error("child ended name=%s code=%s starting_again_in=%.1fs", child.name, code, child.again_at - moment)
        elif moment >= child.again_at:
            child.start_again()


def _end_group(process_group: int) -> None:
    """Grandchildren that outlived their parent."""
    try:
        os.killpg(process_group, signal.SIGKILL)
    except ProcessLookupError:
        return
