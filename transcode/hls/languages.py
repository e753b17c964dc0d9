"""Languages of tracks: containers write three letters (ISO 639-2, in two variants), playlists want RFC 5646 tags."""

from __future__ import annotations

# Tag, name in the language itself, ISO 639-2 codes (bibliographic and terminological where they differ).
_KNOWN = """
ar العربية ara
bg Български bul
bn বাংলা ben
ca Català cat
cs Čeština cze ces
da Dansk dan
de Deutsch ger deu
el Ελληνικά gre ell
en English eng
es Español spa
et Eesti est
eu Euskara baq eus
fa فارسی per fas
fi Suomi fin
fr Français fre fra
ga Gaeilge gle
gl Galego glg
he עברית heb
hi हिन्दी hin
hr Hrvatski hrv
hu Magyar hun
hy Հայերեն arm hye
id Indonesia ind
is Íslenska ice isl
it Italiano ita
ja 日本語 jpn
ka ქართული geo kat
kk Қазақ kaz
ko 한국어 kor
la Latina lat
lt Lietuvių lit
lv Latviešu lav
mk Македонски mac mkd
ms Melayu may msa
nb Bokmål nob
nl Nederlands dut nld
nn Nynorsk nno
no Norsk nor
pl Polski pol
pt Português por
ro Română rum ron
ru Русский rus
sk Slovenčina slo slk
sl Slovenščina slv
sq Shqip alb sqi
sr Српски srp
sv Svenska swe
ta தமிழ் tam
te తెలుగు tel
th ไทย tha
tr Türkçe tur
uk Українська ukr
ur اردو urd
vi Tiếng-Việt vie
zh 中文 chi zho
"""

_TAGS: dict[str, str] = {}
_NAMES: dict[str, str] = {}
for _line in _KNOWN.strip().splitlines():
    _tag, _name, *_codes = _line.split()
    _TAGS.update(dict.fromkeys((_tag, *_codes), _tag))
    _NAMES[_tag] = _name.replace("-", " ")


def tag(code: str) -> str:
    """The RFC 5646 tag for what a container says ("ger", "de", "pt-BR"); "" when it says nothing that is one."""
    language, *rest = code.replace("_", "-").split("-")
    language = language.lower()
    if not (language.isascii() and language.isalpha() and 2 <= len(language) <= 3):
        return ""
    if language in ("und", "mis", "mul", "zxx", "xx"):
        return ""
    rest = [part for part in rest if part.isascii() and part.isalnum() and len(part) <= 8]
    return "-".join([_TAGS.get(language, language), *rest])


def name(code: str) -> str:
    """As its speakers call it; "" when it is not known here."""
    return _NAMES.get(tag(code).split("-")[0], "")
