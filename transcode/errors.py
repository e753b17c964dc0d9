"""What can go wrong with a film, in words that its owner understands."""

from __future__ import annotations

import errno
from typing import Any


class MediaError(Exception):
    """A task failed. `hopeless`: trying again cannot help. `last_words`: ffmpeg's, for admins."""

    usual = "The work on this film failed."  # the sentence where none is given

    def __init__(self, sentence: str = "", *, hopeless: bool = False, last_words: str = "") -> None:
        self.sentence = sentence or self.usual
        super().__init__(self.sentence)
        self.hopeless = hopeless
        self.last_words = last_words

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross from a pool child to the worker: an exception that does not unpickle breaks the pool."""
        return _again, (type(self), self.sentence, self.hopeless, self.last_words)


class Stopped(MediaError):
    """The task was asked to stop, and did."""

    usual = "The work was stopped."


class Killed(MediaError):
    """SIGKILL from outside (the kernel out of memory, an operator): says nothing about the film."""

    usual = "The encoder was killed."


class Failed(MediaError):
    """A program ended itself: what it was given is not as it should be, or the program is not."""

    usual = "The encoder failed."


class NeedsMemory(MediaError):
    """A program wanted more memory than one run may use; it would again."""

    usual = "This film needs more memory than one encoder may use."


class TookTooLong(MediaError):
    """A program did not end in time: the film is strange, or the machine is very busy."""

    usual = "Reading the film took too long."


class Lost(MediaError):
    """What an earlier task left for this one is not there any more: no fault of the film, for it can be made again."""

    usual = "A file of this film is gone."


class Stumbled(MediaError):
    """A bug of ours, whose trace is in the last words."""

    usual = "The worker stumbled over an error of its own."


class NoRoom(MediaError):
    """The disk is full: no fault of the film, and over when there is room again."""

    usual = "The disk is full."


class TooLarge(NoRoom):
    """What this one task writes does not fit, while others may go on."""


def of_os_error(error: OSError) -> MediaError:
    """What a failed read or write of a file means for a task."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoRoom(last_words=str(error))
    return MediaError("A file could not be read or written.", last_words=str(error))


def _again(kind: type[MediaError], sentence: str, hopeless: bool, last_words: str) -> MediaError:
    return kind(sentence, hopeless=hopeless, last_words=last_words)
