"""Takes network access and the way to more privileges from a child process, which needs neither for any video.

All of it works on Linux without root. On other systems, and where a container forbids it, children run without it:
`isolation` returns what is possible.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import struct
import subprocess
import sys
from enum import StrEnum

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

# By machine: AUDIT_ARCH of its system calls, the number of socket(2), the first number of another ABI (x32), which is
# refused.
_ARCHITECTURES = {"x86_64": (0xC000003E, 41, 0x40000000), "aarch64": (0xC00000B7, 198, 0x40000000)}
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # classic BPF (linux/filter.h)
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data


class Isolation(StrEnum):
    """A means that keeps a child off the network."""

    NAMESPACE = "namespace"  # an empty network namespace of its own
    SECCOMP = "seccomp"  # a filter that refuses socket(2)
    NONE = "none"


@functools.cache
def isolation() -> Isolation:
    """Return the strongest means that this process can apply to its children, found by trying each in a child."""
    if sys.platform != "linux":
        return Isolation.NONE
    for means in (Isolation.NAMESPACE, Isolation.SECCOMP):
        if _works(means):
            return means
    return Isolation.NONE


def forbid_new_privileges() -> None:
    """Keep programs that this process executes, such as set-user-ID ones, from gaining privileges (prctl(2))."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def leave_network(means: Isolation) -> bool:
    """Cut this process and its children off the network for good; return False if the kernel refuses.

    Requires `forbid_new_privileges` before it. Without root, a network namespace needs a user namespace, in which this
    process keeps the rights of its own user and no others.
    """
    if means is Isolation.NAMESPACE:
        return bool(_libc.unshare(_CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWUSER | _CLONE_NEWNET) == 0)
    if means is Isolation.SECCOMP:
        return _forbid_sockets()
    return False


def _works(means: Isolation) -> bool:
    def enter() -> None:
        forbid_new_privileges()
        if not leave_network(means):
            raise PermissionError

    try:
        subprocess.run([sys.executable, "-I", "-S", "-c", ""], preexec_fn=enter, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _forbid_sockets() -> bool:
    if _FILTER is None:
        return False
    return bool(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(_FILTER), 0, 0) == 0)


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def _build_filter() -> _Program | None:
    """Return a filter that refuses socket(2) and all calls of another ABI with EACCES; None for unknown machines."""
    if platform.machine() not in _ARCHITECTURES:
        return None
    architecture, socket, other_abi = _ARCHITECTURES[platform.machine()]
    steps = [  # operation, steps to skip if true, steps to skip if false, operand
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 0, 4, architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_EQUAL, 2, 0, socket),
        (_JUMP_AT_LEAST, 1, 0, other_abi),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return _Program(len(steps), b"".join(struct.pack("=HBBI", *step) for step in steps))


_FILTER = _build_filter()  # built here, because as little as possible is done between fork and exec
