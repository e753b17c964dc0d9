"""Finding words in the texts of videos: exact ones and beginnings, in memory.

Every web process holds its own index. An index of words in the database was measured instead and left: on 10,000
films, the beginning of a common word takes the embedded database 0.4 s, and it has no text index that could rank.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from videoflix.models import ListedVideo

# Letters that Unicode does not take apart into a plain one and an accent.
_LETTER_REPLACEMENTS = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
_IOTA_BELOW = "\u0345"  # the one mark that is a letter when case is folded
# Marks that say they are letters: Unicode takes each apart into two real ones.
_DOUBLE_MARKS = frozenset("\u0f73\u0f75\u0f81")
_APOSTROPHES = re.compile("['\u2019\u02bc]")
# Chinese and Japanese are written without blanks, so that each of their characters is a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


def fold(text: str) -> str:
    """Equal for texts that differ in case, accents or outer blanks alone."""
    single = "".join(letter for letter in text.replace(_IOTA_BELOW, "\u03b9") if not _is_mark(letter))
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", single).casefold())
    return (
        "".join(letter for letter in apart if not unicodedata.combining(letter)).translate(_LETTER_REPLACEMENTS).strip()
    )


def _is_mark(letter: str) -> bool:
    """They are left out in any case; before Unicode sorts them, which takes the square of their number."""
    return bool(unicodedata.combining(letter)) or letter in _DOUBLE_MARKS


def extract_words(text: str) -> tuple[str, ...]:
    """The distinct words of a text, folded, in the order of their first use; `Schindler's` is one word."""
    return tuple(dict.fromkeys(_WORD.findall(_APOSTROPHES.sub("", fold(text)))))


SEARCHED_FIELDS = ("title", "category", "description")

_MAX_QUERY_WORDS = 10  # of a search; what comes after them does not narrow it
_PREFIX_RANGE_END = "\U0010ffff"  # after every word with the same beginning

# The worst first. Ten words found in a worse field never outweigh one that is found in a better one.
_FIELD_WEIGHTS = (("description", 1, 2), ("category", 30, 60), ("title", 900, 1800))  # field, beginning, whole word


class WordIndex:
    """Who holds which words. A word stays known when its last holder goes; it costs a few bytes."""

    def __init__(self) -> None:
        self._postings: dict[str, list[int]] = {}
        self._vocabulary: list[str] = []
        self._is_sorted = True

    def add(self, video_id: int, distinct_words: Iterable[str]) -> None:
        """`held`: distinct words."""
        for word in distinct_words:
            holders = self._postings.get(word)
            if holders is None:
                self._postings[word] = [video_id]
                self._vocabulary.append(word)
                self._is_sorted = False
            else:
                holders.append(video_id)

    def remove(self, video_id: int, distinct_words: Iterable[str]) -> None:
        """The same words as they were added."""
        for word in distinct_words:
            self._postings[word].remove(video_id)

    def find_word(self, word: str) -> Sequence[int]:
        """Who holds this very word."""
        return self._postings.get(word, ())

    def find_prefix(self, prefix: str) -> Iterable[int]:
        """Who holds a word that begins like this; some more than once."""
        if not self._is_sorted:
            self._vocabulary.sort()
            self._is_sorted = True
        first = bisect_left(self._vocabulary, prefix)
        last = bisect_left(self._vocabulary, prefix + _PREFIX_RANGE_END, first)
        return chain.from_iterable(self._postings[word] for word in self._vocabulary[first:last])


class SearchIndex:
    """Videos by the words of their title, category and description."""

    def __init__(self) -> None:
        self._word_indexes = {field: WordIndex() for field in SEARCHED_FIELDS}

    def add(self, video: ListedVideo) -> None:
        """A video that is not in it."""
        for field, index in self._word_indexes.items():
            index.add(video.id, extract_words(getattr(video, field)))

    def remove(self, video: ListedVideo) -> None:
        """The video as it was added."""
        for field, index in self._word_indexes.items():
            index.remove(video.id, extract_words(getattr(video, field)))

    def find(self, terms: Sequence[str]) -> Mapping[int, int]:
        """Ids of the videos that hold every searched word or one that begins like it, each with its weight."""
        found: dict[int, int] | None = None
        for word in terms[:_MAX_QUERY_WORDS]:
            weights = self._weigh_word(word)
            if found is None:
                found = weights
            else:
                found = {video: found[video] + weights[video] for video in found.keys() & weights.keys()}
            if not found:
                break
        return found or {}

    def find_in_field(self, field: str, word: str) -> Sequence[int]:
        """Ids of the videos whose `field` holds this very word."""
        return self._word_indexes[field].find_word(word)

    def _weigh_word(self, word: str) -> dict[int, int]:
        weights: dict[int, int] = {}
        for field, beginning, whole in _FIELD_WEIGHTS:
            index = self._word_indexes[field]
            found = dict.fromkeys(index.find_prefix(word), beginning)
            found.update(dict.fromkeys(index.find_word(word), whole))
            if weights:
                weights.update(found)
            else:
                weights = found  # as it is: a copy of thousands takes time
        return weights
