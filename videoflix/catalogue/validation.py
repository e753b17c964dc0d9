"""What the texts of a video may say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from videoflix.errors import FieldErrors

# Existing pages put these texts into innerHTML; this is where an HTML parser sees a tag begin (HTML, 13.2.5.6).
_MARKUP = re.compile(r"<[A-Za-z/!?]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LINE_BREAKS = re.compile(r"[\t\r\n]")  # a description may have several
_MAX_LENGTHS = {"title": 255, "description": 5000, "category": 100}


def validate_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """The same texts by field, stripped. Raises FieldErrors for what no page could show."""
    given = {name: text.strip() for name, text in texts.items()}
    wrong = {name: sentences for name, text in given.items() if (sentences := list(_find_problems(name, text)))}
    if wrong:
        raise FieldErrors(wrong)
    return given


def _find_problems(name: str, text: str) -> Iterable[str]:
    if name == "title" and not text:
        yield "This field may not be blank."
    if len(text) > _MAX_LENGTHS[name]:
        yield f"Ensure this field has no more than {_MAX_LENGTHS[name]} characters."
    if _MARKUP.search(text):
        yield "Markup is not allowed: leave out the < before a letter, /, ! or ?."
    if _CONTROL.search(text if name != "description" else _LINE_BREAKS.sub("", text)):
        yield "Control characters are not allowed."
    if any("\ud800" <= character <= "\udfff" for character in text):
        yield "Half of a surrogate pair is no character."
