"""What can go wrong with a film, in words that its owner understands."""

from __future__ import annotations

import errno
from typing import Any


class MediaError(Exception):
    """A task failed. `hopeless`: trying again cannot help. `last_words`: ffmpeg's, for admins."""

    default_message = "The work on this film failed."  # the sentence where none is given

    def __init__(self, message: str = "", *, permanent: bool = False, stderr_tail: str = "") -> None:
        self.message = message or self.default_message
        super().__init__(self.message)
        self.permanent = permanent
        self.stderr_tail = stderr_tail

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross from a pool child to the worker: an exception that does not unpickle breaks the pool."""
        return _rebuild, (type(self), self.message, self.permanent, self.stderr_tail)


class Stopped(MediaError):
    """The task was asked to stop, and did."""

    default_message = "The work was stopped."


class ProcessKilled(MediaError):
    """SIGKILL from outside (the kernel out of memory, an operator): says nothing about the film."""

    default_message = "The encoder was killed."


class ProcessFailed(MediaError):
    """A program ended itself: what it was given is not as it should be, or the program is not."""

    default_message = "The encoder failed."


class OutOfMemory(MediaError):
    """A program wanted more memory than one run may use; it would again."""

    default_message = "This film needs more memory than one encoder may use."


class ProcessTimeout(MediaError):
    """A program did not end in time: the film is strange, or the machine is very busy."""

    default_message = "Reading the film took too long."


class InputMissing(MediaError):
    """What an earlier task left for this one is not there any more: no fault of the film, for it can be made again."""

    default_message = "A file of this film is gone."


class InternalError(MediaError):
    """A bug of ours, whose trace is in the last words."""

    default_message = "The worker stumbled over an error of its own."


class DiskFull(MediaError):
    """The disk is full: no fault of the film, and over when there is room again."""

    default_message = "The disk is full."


class OutputTooLarge(DiskFull):
    """What this one task writes does not fit, while others may go on."""


def from_os_error(error: OSError) -> MediaError:
    """What a failed read or write of a file means for a task."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(stderr_tail=str(error))
    return MediaError("A file could not be read or written.", stderr_tail=str(error))


def _rebuild(error_type: type[MediaError], message: str, permanent: bool, stderr_tail: str) -> MediaError:
    return error_type(message, permanent=permanent, stderr_tail=stderr_tail)
