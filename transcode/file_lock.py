"""Advisory locks on open files (flock(2)). A lock ends with the process that holds it, however that ends."""

from __future__ import annotations

import fcntl
from typing import IO, Any


def try_lock(file: IO[Any], *, shared: bool = False) -> bool:
    """Lock an open file without waiting. Return False if another process holds a conflicting lock.

    Raises OSError where files cannot be locked, as on some network shares.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
