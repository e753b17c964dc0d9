"""Language codes of sources become tags and names in playlists."""

from __future__ import annotations

import pytest

from transcode.hls import languages


@pytest.mark.parametrize(
    ("code", "tag", "name"),
    [
        ("ger", "de", "Deutsch"), ("deu", "de", "Deutsch"), ("de", "de", "Deutsch"), ("eng", "en", "English"),
        ("pt-BR", "pt-BR", "Português (Brasil)"), ("zh_Hant", "zh-Hant", "中文\uff08繁體\uff09"),
        ("ENG", "en", "English"), ("fre", "fr", "Français"), ("gsw", "gsw", "Schwiizertüütsch"),
        ("es-419", "es-419", "Español (Latinoamérica)"),
        ("scr", "hr", "Hrvatski"), ("iw", "he", "עברית"), ("aaa", "aaa", "Ghotuo"), ("en\n", "en", "English"),
        ("und", "", ""), ("mul", "", ""), ("zxx", "", ""), ("qaa", "", ""), ("xxx", "", ""), ("x-a", "", ""),
        ("", "", ""), ("x", "", ""), ('e"n', "", ""), ("German", "", ""), ("é", "", ""), ("e" * 65536, "", ""),
        ("en-" + "a-" * 999, "", ""), ("-", "", ""), ("_", "", ""), ("12", "", ""),
    ],
)  # fmt: skip
def test_languages_become_tags_and_names(code: str, tag: str, name: str) -> None:
    assert (languages.tag(code), languages.name(code)) == (tag, name)
