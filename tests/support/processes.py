"""Processes that tests start: whether they exited, and where their programs are."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil
import pytest

from videoflix.embedded.servers import ServerSpec


def still_running(processes: Iterable[psutil.Process], seconds: float = 20) -> list[psutil.Process]:
    """Return the processes that still run after `seconds`; return early once none does.

    Zombies count as exited: psutil.wait_procs would wait until an orphan's new parent has reaped it.
    """
    deadline = time.monotonic() + seconds
    while (found := [process for process in processes if _lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def require_program(program: str) -> str:
    """Return the path of a program; without it skip the test, or fail it in CI."""
    if found := shutil.which(program):
        return found
    if os.environ.get("CI"):
        pytest.fail(f"{program} is not installed")
    pytest.skip(f"{program} is not installed")


def server_process(server: ServerSpec) -> psutil.Process:
    """Return the child process of an embedded server, so that a test can kill or suspend it."""
    return next(child for child in psutil.Process().children() if str(server.port) in " ".join(child.cmdline()))


def all_exited(processes: Iterable[psutil.Process]) -> bool:
    """Return whether all of them have exited, waiting for it a little."""
    return not still_running(processes)
