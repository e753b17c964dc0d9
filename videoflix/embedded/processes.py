"""Child processes that end with their parent: start one, stop one, run a server for the length of a block."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

from transcode.parent_death import set_parent_death_signal
from videoflix.embedded.servers import ServerSpec
from videoflix.errors import CommandError


def spawn(
    argv: Sequence[str], log_path: Path | None, env: Mapping[str, str] | None = None, sockets: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a child in a process group of its own.

    Its output is appended to `log_path`, or shares this process's stdout and stderr. It inherits the descriptors in
    `sockets`. The group keeps a Ctrl-C at the terminal away from it: the parent decides in which order children stop.
    A log, and what a child with a log writes, is readable by its owner alone: those children are the servers.
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
            # Safe here: this process starts children from its only thread.
            preexec_fn=partial(set_parent_death_signal, os.getpid(), signal.SIGTERM),
        )


def stop(child: subprocess.Popen[bytes], grace_s: float = 5.0) -> None:
    """Stop a child: SIGTERM, and after `grace_s` seconds SIGKILL to its whole group. Return when it is gone."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


@contextmanager
def run_server(server: ServerSpec, timeout_s: float = 20.0) -> Iterator[ServerSpec]:
    """Run a server for the length of the block, and yield once it accepts connections.

    Raises CommandError with the last line of its log if it does not start.
    """
    child = spawn(server.argv, server.log_path)
    try:
        deadline = time.monotonic() + timeout_s
        while not server.is_listening():
            if child.poll() is not None or time.monotonic() > deadline:
                raise CommandError(f"The embedded {server.name} did not start: {read_last_line(server.log_path)}")
            time.sleep(0.02)  # blocking is fine: nothing else runs in this process yet
        yield server
    finally:
        stop(child)


def read_last_line(log_path: Path) -> str:
    """Return the last line of a log, to tell why a process ended."""
    lines = [line.strip() for line in log_path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "its log is empty."
