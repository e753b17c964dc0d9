"""Finding words in the texts of videos: exact ones and beginnings, in memory.

Every web process holds its own index. An index of words in the database was measured instead and left: on 10,000
films, the beginning of a common word takes the embedded database 0.4 s, and it has no text index that could rank.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from videoflix.catalogue.words import words
from videoflix.models import ListedVideo

FIELDS = ("title", "category", "description")

_MOST_WORDS = 10  # of a search; what comes after them does not narrow it
_END = "\U0010ffff"  # after every word with the same beginning

# The worst first. Ten words found in a worse field never outweigh one that is found in a better one.
_WEIGHTS = (("description", 1, 2), ("category", 30, 60), ("title", 900, 1800))  # field, beginning, whole word


class WordIndex:
    """Who holds which words. A word stays known when its last holder goes; it costs a few bytes."""

    def __init__(self) -> None:
        self._holders: dict[str, list[int]] = {}
        self._vocabulary: list[str] = []
        self._is_sorted = True

    def add(self, holder: int, held: Iterable[str]) -> None:
        """`held`: distinct words."""
        for word in held:
            holders = self._holders.get(word)
            if holders is None:
                self._holders[word] = [holder]
                self._vocabulary.append(word)
                self._is_sorted = False
            else:
                holders.append(holder)

    def remove(self, holder: int, held: Iterable[str]) -> None:
        """The same words as they were added."""
        for word in held:
            self._holders[word].remove(holder)

    def holding(self, word: str) -> Sequence[int]:
        """Who holds this very word."""
        return self._holders.get(word, ())

    def holding_beginning(self, beginning: str) -> Iterable[int]:
        """Who holds a word that begins like this; some more than once."""
        if not self._is_sorted:
            self._vocabulary.sort()
            self._is_sorted = True
        first = bisect_left(self._vocabulary, beginning)
        last = bisect_left(self._vocabulary, beginning + _END, first)
        return chain.from_iterable(self._holders[word] for word in self._vocabulary[first:last])


class SearchIndex:
    """Videos by the words of their title, category and description."""

    def __init__(self) -> None:
        self._fields = {field: WordIndex() for field in FIELDS}

    def add(self, video: ListedVideo) -> None:
        """A video that is not in it."""
        for field, index in self._fields.items():
            index.add(video.id, words(getattr(video, field)))

    def remove(self, video: ListedVideo) -> None:
        """The video as it was added."""
        for field, index in self._fields.items():
            index.remove(video.id, words(getattr(video, field)))

    def find(self, searched: Sequence[str]) -> Mapping[int, int]:
        """Ids of the videos that hold every searched word or one that begins like it, each with its weight."""
        found: dict[int, int] | None = None
        for word in searched[:_MOST_WORDS]:
            weights = self._weights(word)
            if found is None:
                found = weights
            else:
                found = {video: found[video] + weights[video] for video in found.keys() & weights.keys()}
            if not found:
                break
        return found or {}

    def holders(self, field: str, word: str) -> Sequence[int]:
        """Ids of the videos whose `field` holds this very word."""
        return self._fields[field].holding(word)

    def _weights(self, word: str) -> dict[int, int]:
        weights: dict[int, int] = {}
        for field, beginning, whole in _WEIGHTS:
            index = self._fields[field]
            found = dict.fromkeys(index.holding_beginning(word), beginning)
            found.update(dict.fromkeys(index.holding(word), whole))
            if weights:
                weights.update(found)
            else:
                weights = found  # as it is: a copy of thousands takes time
        return weights
