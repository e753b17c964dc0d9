"""Languages of tracks: containers use ISO 639 codes of every kind, playlists need RFC 5646 tags.

The tables come from the `langcodes` package (IANA's registry and Unicode's CLDR).
"""

from __future__ import annotations

from functools import lru_cache

from langcodes import Language, standardize_tag
from langcodes.tag_parser import LanguageTagError

# ISO 639-2 codes for "undetermined", "uncoded", "multiple languages" and "no linguistic content".
_SPECIAL_CODES = frozenset({"und", "mis", "mul", "zxx"})
_MAX_TAG_LENGTH = 35  # characters (RFC 5646, 4.4.1)


@lru_cache(maxsize=1024)
def tag(code: str) -> str:
    """Return the RFC 5646 tag for a container's code ("ger", "de", "pt_BR"), or "" if it names no language."""
    if len(code) > _MAX_TAG_LENGTH or not code.isascii():
        return ""
    try:
        language = Language.get(standardize_tag(code.strip()))
    except LanguageTagError:
        return ""
    return language.to_tag() if _is_language(language) else ""


@lru_cache(maxsize=1024)
def name(code: str) -> str:
    """Return a language's name in that language, with region or script if the code has one; "" if it is unknown."""
    language_tag = tag(code)
    if not language_tag:
        return ""
    autonym = Language.get(language_tag).autonym()
    return "" if autonym.startswith("Unknown language") else autonym[:1].upper() + autonym[1:]


def _is_language(language: Language) -> bool:
    """Return whether this is a registered language; codes for private use ("qaa" to "qtz") are not."""
    code = language.language or ""
    return code.isalpha() and code not in _SPECIAL_CODES and not "qaa" <= code <= "qtz" and language.is_valid()
