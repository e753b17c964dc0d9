"""What can go wrong with a film, in words that its owner understands."""

from __future__ import annotations

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


def _again(kind: type[MediaError], sentence: str, hopeless: bool, last_words: str) -> MediaError:
    return kind(sentence, hopeless=hopeless, last_words=last_words)
