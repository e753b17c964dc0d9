"""What can go wrong with a film, in words that its owner understands."""

from __future__ import annotations

import errno
from typing import Any


class MediaError(Exception):
    """A task failed. `hopeless`: trying again cannot help. `last_words`: ffmpeg's, for admins."""

    def __init__(self, sentence: str, *, hopeless: bool = False, last_words: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hopeless = hopeless
        self.last_words = last_words

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross from a pool child to the worker: an exception that does not unpickle breaks the pool."""
        return _again, (type(self), self.sentence, self.hopeless, self.last_words)


class Stopped(MediaError):
    """The task was asked to stop, and did."""

    def __init__(
        self, sentence: str = "The work was stopped.", *, hopeless: bool = False, last_words: str = ""
    ) -> None:
        super().__init__(sentence, hopeless=hopeless, last_words=last_words)


class Killed(MediaError):
    """SIGKILL from outside (the kernel out of memory, an operator): says nothing about the film."""

    def __init__(
        self, sentence: str = "The encoder was killed.", *, hopeless: bool = False, last_words: str = ""
    ) -> None:
        super().__init__(sentence, hopeless=hopeless, last_words=last_words)


class Failed(MediaError):
    """A program ended itself: what it was given is not as it should be, or the program is not."""

    def __init__(self, sentence: str = "The encoder failed.", *, hopeless: bool = False, last_words: str = "") -> None:
        super().__init__(sentence, hopeless=hopeless, last_words=last_words)


class TookTooLong(MediaError):
    """A program did not end in time: the film is strange, or the machine is very busy."""

    def __init__(
        self, sentence: str = "Reading the film took too long.", *, hopeless: bool = False, last_words: str = ""
    ) -> None:
        super().__init__(sentence, hopeless=hopeless, last_words=last_words)


class NoRoom(MediaError):
    """The disk is full: no fault of the film, and over when there is room again."""

    def __init__(self, sentence: str = "The disk is full.", *, hopeless: bool = False, last_words: str = "") -> None:
        super().__init__(sentence, hopeless=hopeless, last_words=last_words)


class TooLarge(NoRoom):
    """What this one task writes does not fit, while others may go on."""


def of_os_error(error: OSError) -> MediaError:
    """What a failed read or write of a file means for a task."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoRoom(last_words=str(error))
    return MediaError("A file could not be read or written.", last_words=str(error))


def _again(kind: type[MediaError], sentence: str, hopeless: bool, last_words: str) -> MediaError:
    return kind(sentence, hopeless=hopeless, last_words=last_words)
