"""Languages of tracks: containers write ISO 639 codes of every kind, playlists want RFC 5646 tags.

The tables are those of the `langcodes` package (IANA's registry and Unicode's CLDR).
"""

from __future__ import annotations

from functools import lru_cache

from langcodes import Language, standardize_tag
from langcodes.tag_parser import LanguageTagError

# "Undetermined", "uncoded", "multiple", and "no linguistic content" name no language (ISO 639-2).
_NO_LANGUAGES = frozenset({"und", "mis", "mul", "zxx"})
_MAX_LENGTH = 35  # characters of a tag (RFC 5646, 4.4.1)


@lru_cache(maxsize=1024)
def tag(code: str) -> str:
    """Return the RFC 5646 tag for what a container says ("ger", "de", "pt_BR"), or "" when that is no language."""
    if len(code) > _MAX_LENGTH or not code.isascii():
        return ""
    try:
        found = Language.get(standardize_tag(code.strip()))
    except LanguageTagError:
        return ""
    return found.to_tag() if _is_language(found) else ""


@lru_cache(maxsize=1024)
def name(code: str) -> str:
    """Return what its speakers call a language, with the region or script if one is given; "" when it is not known."""
    known = tag(code)
    if not known:
        return ""
    found = Language.get(known).autonym()
    return "" if found.startswith("Unknown language") else found[:1].upper() + found[1:]


def _is_language(language: Language) -> bool:
    """Tell whether a tag names a language that is registered; private use ("qaa" to "qtz") is one's own business."""
    code = language.language or ""
    return code.isalpha() and code not in _NO_LANGUAGES and not "qaa" <= code <= "qtz" and language.is_valid()
