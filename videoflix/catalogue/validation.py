"""The rules for titles, descriptions and categories of videos."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from videoflix.errors import FieldErrors

# Existing frontends insert these texts with innerHTML. An HTML parser sees a tag here (HTML, 13.2.5.6).
_MARKUP = re.compile(r"<[A-Za-z/!?]")
_TAG_OPENERS = re.compile(r"(?<!<)<+(?=[A-Za-z/!?])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LINE_BREAKS = re.compile(r"[\t\r\n]")  # allowed in descriptions
_MAX_LENGTHS = {"title": 255, "description": 5000, "category": 100}


def validate_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the texts by field, stripped. Raises FieldErrors if a frontend could not display one of them."""
    stripped = {name: text.strip() for name, text in texts.items()}
    errors = {name: messages for name, text in stripped.items() if (messages := list(_find_problems(name, text)))}
    if errors:
        raise FieldErrors(errors)
    return stripped


def default_title(file_name: str) -> str:
    """Return a valid title for a file without one: `My video` for `C:\\videos\\My_video.mp4`."""
    stem = Path(file_name.replace("\\", "/")).stem.replace("_", " ")
    return _TAG_OPENERS.sub("", _CONTROL.sub("", stem)).strip()[: _MAX_LENGTHS["title"]] or "Untitled"


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
        yield "Unpaired surrogates are not allowed."
