"""Full-text search over the texts of videos, by whole words and prefixes, in memory.

Each web process has its own index. A word index in the database was measured and rejected: with 10,000 videos, a common
prefix takes the embedded database 0.4 s, and it has no text index that could rank results.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from videoflix.models import ListedVideo

# Letters that Unicode does not decompose into a base letter and an accent.
_LETTER_REPLACEMENTS = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
_IOTA_BELOW = "\u0345"  # the one mark that is a letter when case is folded
# Marks that say they are letters: Unicode takes each apart into two real ones.
_DOUBLE_MARKS = frozenset("\u0f73\u0f75\u0f81")
_APOSTROPHES = re.compile("['\u2019\u02bc]")
# Chinese and Japanese are written without spaces, so each of their characters is a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


def fold(text: str) -> str:
    """Return a text without case, accents and surrounding whitespace, for comparisons."""
    single = "".join(letter for letter in text.replace(_IOTA_BELOW, "\u03b9") if not _is_mark(letter))
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", single).casefold())
    letters = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return letters.translate(_LETTER_REPLACEMENTS).strip()


def _is_mark(letter: str) -> bool:
    """They are left out in any case; before Unicode sorts them, which takes the square of their number."""
    return bool(unicodedata.combining(letter)) or letter in _DOUBLE_MARKS


def extract_words(text: str) -> tuple[str, ...]:
    """Return the distinct words of a text, folded, in the order of their first use; `Schindler's` is one word."""
    return tuple(dict.fromkeys(_WORD.findall(_APOSTROPHES.sub("", fold(text)))))


SEARCHED_FIELDS = ("title", "category", "description")

_MAX_QUERY_WORDS = 10  # further words of a query are ignored
_PREFIX_RANGE_END = "\U0010ffff"  # sorts after every word with the same prefix

# The least important field first. Ten words in a less important field never outweigh one in a more important field.
_FIELD_WEIGHTS = (
    ("description", 1, 2),
    ("category", 30, 60),
    ("title", 900, 1800),
)  # field, prefix weight, word weight


class WordIndex:
    """An inverted index of one field. A word without videos stays in the vocabulary, which costs a few bytes."""

    def __init__(self) -> None:
        self._postings: dict[str, list[int]] = {}
        self._vocabulary: list[str] = []
        self._is_sorted = True

    def add(self, video_id: int, distinct_words: Iterable[str]) -> None:
        """Add a video that is not in the index."""
        for word in distinct_words:
            video_ids = self._postings.get(word)
            if video_ids is None:
                self._postings[word] = [video_id]
                self._vocabulary.append(word)
                self._is_sorted = False
            else:
                video_ids.append(video_id)

    def remove(self, video_id: int, distinct_words: Iterable[str]) -> None:
        """Remove a video with the same words as it was added with."""
        for word in distinct_words:
            self._postings[word].remove(video_id)

    def find_word(self, word: str) -> Sequence[int]:
        """Return the ids of the videos that contain exactly this word."""
        return self._postings.get(word, ())

    def find_prefix(self, prefix: str) -> Iterable[int]:
        """Return the ids of the videos that contain a word with this prefix, with duplicates."""
        if not self._is_sorted:
            self._vocabulary.sort()
            self._is_sorted = True
        first = bisect_left(self._vocabulary, prefix)
        last = bisect_left(self._vocabulary, prefix + _PREFIX_RANGE_END, first)
        return chain.from_iterable(self._postings[word] for word in self._vocabulary[first:last])


class SearchIndex:
    """The words of the titles, categories and descriptions of all videos."""

    def __init__(self) -> None:
        self._word_indexes = {field: WordIndex() for field in SEARCHED_FIELDS}

    def add(self, video: ListedVideo) -> None:
        """Add a video that is not in the index."""
        for field, index in self._word_indexes.items():
            index.add(video.id, extract_words(getattr(video, field)))

    def remove(self, video: ListedVideo) -> None:
        """Remove a video in the form in which it was added."""
        for field, index in self._word_indexes.items():
            index.remove(video.id, extract_words(getattr(video, field)))

    def find(self, terms: Sequence[str]) -> Mapping[int, int]:
        """Return the weights of the videos that contain every term as a word or a prefix, by id."""
        totals: dict[int, int] | None = None
        for term in terms[:_MAX_QUERY_WORDS]:
            weights = self._weigh_term(term)
            if totals is None:
                totals = weights
            else:
                totals = {video_id: totals[video_id] + weights[video_id] for video_id in totals.keys() & weights.keys()}
            if not totals:
                break
        return totals or {}

    def find_in_field(self, field: str, word: str) -> Sequence[int]:
        """Return the ids of the videos whose field contains exactly this word."""
        return self._word_indexes[field].find_word(word)

    def _weigh_term(self, term: str) -> dict[int, int]:
        weights: dict[int, int] = {}
        for field, prefix_weight, word_weight in _FIELD_WEIGHTS:
            index = self._word_indexes[field]
            field_weights = dict.fromkeys(index.find_prefix(term), prefix_weight)
            field_weights.update(dict.fromkeys(index.find_word(term), word_weight))
            if weights:
                weights.update(field_weights)
            else:
                weights = field_weights  # not copied: it may have thousands of entries
        return weights
