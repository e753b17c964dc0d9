"""Errors of tasks, with messages that a video's owner understands."""

from __future__ import annotations

import errno
from typing import Any


class MediaError(Exception):
    """A task failed.

    `message`: a sentence for the video's owner. `permanent`: another attempt cannot succeed. `stderr_tail`: the end of
    what the program wrote to stderr, for admins.
    """

    default_message = "Processing this video failed."

    def __init__(self, message: str = "", *, permanent: bool = False, stderr_tail: str = "") -> None:
        self.message = message or self.default_message
        super().__init__(self.message)
        self.permanent = permanent
        self.stderr_tail = stderr_tail

    def __reduce__(self) -> tuple[Any, ...]:
        """Support pickling between pool child and worker: an error that cannot be unpickled would break the pool."""
        return _rebuild, (type(self), self.message, self.permanent, self.stderr_tail)


class Stopped(MediaError):
    """The task ended early because it was asked to."""

    default_message = "The task was stopped."


class ProcessKilled(MediaError):
    """A program was killed with SIGKILL from outside (out-of-memory killer, operator): not the video's fault."""

    default_message = "The encoder was killed."


class ProcessFailed(MediaError):
    """A program exited with an error: its input or the program itself is faulty."""

    default_message = "The encoder failed."


class OutOfMemory(MediaError):
    """A program needed more memory than one run may use; another attempt would need it too."""

    default_message = "This video needs more memory than one encoder may use."


class ProcessTimeout(MediaError):
    """A program did not finish in time: the video is unusual, or the machine is very busy."""

    default_message = "Reading the video took too long."


class InputMissing(MediaError):
    """An input produced by an earlier task is missing; it can be regenerated."""

    default_message = "A file of this video is missing."


class InternalError(MediaError):
    """A bug in this program; `stderr_tail` holds the traceback."""

    default_message = "The worker failed with an internal error."


class DiskFull(MediaError):
    """The disk is full. Not the video's fault; the task can succeed once there is space again."""

    default_message = "The disk is full."


class OutputTooLarge(DiskFull):
    """The output of this one task does not fit on the disk; other tasks may continue."""


def from_os_error(error: OSError) -> MediaError:
    """Return the task's error for a failed read or write of a file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(stderr_tail=str(error))
    return MediaError("A file could not be read or written.", stderr_tail=str(error))


def _rebuild(error_type: type[MediaError], message: str, permanent: bool, stderr_tail: str) -> MediaError:
    return error_type(message, permanent=permanent, stderr_tail=stderr_tail)
