"""Language codes of sources as the tags and names of playlists."""

from __future__ import annotations

import pytest

from transcode.hls import languages


@pytest.mark.parametrize(
    ("code", "tag", "name"),
    [
        ("ger", "de", "Deutsch"), ("deu", "de", "Deutsch"), ("de", "de", "Deutsch"), ("eng", "en", "English"),
        ("pt-BR", "pt-BR", "Português"), ("zh_Hant", "zh-Hant", "中文"), ("ENG", "en", "English"),
        ("gsw", "gsw", ""), ("und", "", ""), ("", "", ""), ("x", "", ""), ('e"n', "", ""), ("German", "", ""),
    ],
)  # fmt: skip
def test_languages_become_the_tags_of_playlists(code: str, tag: str, name: str) -> None:
    assert (languages.tag(code), languages.name(code)) == (tag, name)
