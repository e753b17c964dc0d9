"""Texts as search sees them: words without case and accents."""

from __future__ import annotations

import re
import unicodedata

# Letters that Unicode does not take apart into a plain one and an accent.
_PLAIN = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
_IOTA_BELOW = "\u0345"  # the one mark that is a letter when case is folded
# Marks that say they are letters: Unicode takes each apart into two real ones.
_DOUBLE_MARKS = frozenset("\u0f73\u0f75\u0f81")
_APOSTROPHES = re.compile("['\u2019\u02bc]")
# Chinese and Japanese are written without blanks, so that each of their characters is a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


def folded(text: str) -> str:
    """Equal for texts that differ in case, accents or outer blanks alone."""
    single = "".join(letter for letter in text.replace(_IOTA_BELOW, "\u03b9") if not _is_mark(letter))
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", single).casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).translate(_PLAIN).strip()


def _is_mark(letter: str) -> bool:
    """They are left out in any case; before Unicode sorts them, which takes the square of their number."""
    return bool(unicodedata.combining(letter)) or letter in _DOUBLE_MARKS


def words(text: str) -> tuple[str, ...]:
    """The distinct words of a text, folded, in the order of their first use; `Schindler's` is one word."""
    return tuple(dict.fromkeys(_WORD.findall(_APOSTROPHES.sub("", folded(text)))))
