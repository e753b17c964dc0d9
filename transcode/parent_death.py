"""Parent-death signals: the kernel ends a child process whose parent is gone."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux only


def set_parent_death_signal(parent_pid: int, signal_number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent ends, in whatever way it ends (prctl(2)).

    Call it in the child. Exit at once if the parent has ended already. On other systems than Linux this does nothing,
    and the parent has to end its children itself.
    """
    if _prctl is None:
        return
    _prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent_pid:  # it ended before the call above
        os._exit(1)
