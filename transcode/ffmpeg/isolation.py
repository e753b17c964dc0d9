"""Takes from a child what it needs for no film: more rights, and the network.

All of it is for Linux, where no root is needed for it. Elsewhere, and where a container forbids it, films are made
without it: `isolation` says what there is.
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

# Machine: AUDIT_ARCH of its system calls, number of socket(2), first number of another ABI (x32), which is refused.
_ARCHITECTURES = {"x86_64": (0xC000003E, 41, 0x40000000), "aarch64": (0xC00000B7, 198, 0x40000000)}
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # classic BPF (linux/filter.h)
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data


class Isolation(StrEnum):
    """What keeps a child from the network."""

    NAMESPACE = "namespace"  # one of its own, in which there is none
    SECCOMP = "seccomp"  # it can open no socket
    NONE = "none"


@functools.cache
def isolation() -> Isolation:
    """Return the strongest one that this process can give to its children, by trying it in one."""
    if sys.platform != "linux":
        return Isolation.NONE
    for wanted in (Isolation.NAMESPACE, Isolation.SECCOMP):
        if _works(wanted):
            return wanted
    return Isolation.NONE


def forbid_new_privileges() -> None:
    """Let no program that this process executes gain rights, such as a set-user-ID one (prctl(2))."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def leave_network(by: Isolation) -> bool:
    """Cut this process and its children off the network, for good; False when the kernel refuses.

    Needs `forbid_new_privileges` before. Without root a network namespace needs a user namespace, in which this
    process keeps its own files' rights and no others.
    """
    if by is Isolation.NAMESPACE:
        return bool(_libc.unshare(_CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWUSER | _CLONE_NEWNET) == 0)
    if by is Isolation.SECCOMP:
        return _forbid_sockets()
    return False


def _works(wanted: Isolation) -> bool:
    def enter() -> None:
        forbid_new_privileges()
        if not leave_network(wanted):
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


def _filter() -> _Program | None:
    """socket(2), and whatever comes by another ABI, is refused with EACCES; None for machines that are not known."""
    if platform.machine() not in _ARCHITECTURES:
        return None
    architecture, socket, other_abi = _ARCHITECTURES[platform.machine()]
    steps = [  # operation, steps to skip if it is true, and if it is not, operand
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 0, 4, architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_EQUAL, 2, 0, socket),
        (_JUMP_AT_LEAST, 1, 0, other_abi),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return _Program(len(steps), b"".join(struct.pack("=HBBI", *step) for step in steps))


_FILTER = _filter()  # made here: between fork and exec as little as can be is done
