"""Death with the parent: a process that nobody would end any more is ended by the kernel."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux alone has it


def set_parent_death_signal(parent_pid: int) -> None:
    """Be killed when the parent ends, however it ends; elsewhere than on Linux this is left to whoever starts it."""
    if _prctl is None:
        return
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before the line above
        os._exit(1)
