"""A child process that ends when its parent does, and a way to end it that always works."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from videoflix.embedded.servers import ServerSpec
from videoflix.errors import CommandError

_PR_SET_PDEATHSIG = 1


def _set_parent_death_signal() -> None:
    """Runs in the child before exec: the kernel ends it when the parent is gone, however that ended (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def spawn(
    argv: Sequence[str], log_path: Path | None, env: Mapping[str, str] | None = None, sockets: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a child in its own process group, its output appended to `log`, or going where this process's goes.
    It inherits the descriptors of `sockets`.

    A log, and what a child with a log writes, is readable by its owner alone: those are the servers.
    The group keeps a Ctrl-C at the terminal from reaching it: its parent decides in which order children stop.
    """
    if log_path:
        log_path.touch(mode=0o600)
        log_path.chmod(0o600)
    with log_path.open("ab") if log_path else nullcontext() as output:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            env={**os.environ, **(env or {})},
            process_group=0,
            pass_fds=tuple(sockets),
            umask=0o077 if log_path else -1,
            preexec_fn=_set_parent_death_signal,  # this process starts children from its only thread
        )


def stop(child: subprocess.Popen[bytes], grace_s: float = 5.0) -> None:
    """SIGTERM, `grace` seconds, then SIGKILL to the whole group; returns when the child is gone."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


@contextmanager
def run_server(server: ServerSpec, timeout_s: float = 20.0) -> Iterator[ServerSpec]:
    """The server, listening, for as long as the block lasts. Raises CommandError with its last words otherwise."""
    child = spawn(server.argv, server.log_path)
    try:
        deadline = time.monotonic() + timeout_s
        while not server.is_listening():
            if child.poll() is not None or time.monotonic() > deadline:
                raise CommandError(f"The embedded {server.name} did not start: {read_last_line(server.log_path)}")
            time.sleep(0.02)  # nothing else runs in this process yet
        yield server
    finally:
        stop(child)


def read_last_line(log_path: Path) -> str:
    """The last line of a log, for a sentence that says why a process ended."""
    lines = [line.strip() for line in log_path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing."
