"""Playlists and other lists of URIs, as the bytes that clients get: kept ready, also compressed.

The URIs in the published files are relative to the file. Who asked with a playback token needs it in every URI; who
asked for the list with a slash behind its name, as every path of /api/ may be asked for, is one level deeper.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

from videoflix.media.files import open_below, read_below

_MOST = 32 * 1024 * 1024  # bytes that are kept
_OVERHEAD = 1200  # bytes of the objects of one list; short lists with a token each are the most of them
_WORTH_COMPRESSING = 256  # bytes

_ATTRIBUTE = re.compile(r'(URI=")([^"]+)(?=")')
_LINE = re.compile(r"^()([^#\s][^\s]*)$", re.MULTILINE)
_PICTURE = re.compile(r"^()([0-9]+\.jpg)", re.MULTILINE)  # of a storyboard, before #xywh=


@dataclass(frozen=True, slots=True)
class Text:
    """A list as it is sent."""

    version: str  # of the file that it was made from
    modified: int  # Unix time
    body: bytes
    compressed: bytes | None  # gzip; None when it is not worth it


@dataclass(frozen=True, slots=True)
class Wanted:
    """A list, and how its URIs have to look. `token` is URL-safe."""

    names: tuple[str, ...]  # below the folder of all films
    token: str = ""
    is_deeper: bool = False


class Texts:
    """One per web process; of the lists that are asked for, the latest fill a bounded memory."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._kept: LRUCache[Wanted, _Kept] = LRUCache(_MOST, lambda kept: kept.memory)

    def at_hand(self, wanted: Wanted) -> Text | None:
        """The list, when it is kept and its file is still the same. Raises NotFound when there is none any more."""
        kept = self._kept.get(wanted)
        if kept is None:
            return None
        file = open_below(self._base, *wanted.names)
        file.close()
        return kept.text if file.version == kept.text.version else None

    def make(self, wanted: Wanted) -> Text:
        """Read and prepare it: for a thread. Raises NotFound."""
        content, file = read_below(self._base, *wanted.names)
        body = _rewritten(content.decode(), wanted).encode() if wanted.token or wanted.is_deeper else content
        compressed = gzip.compress(body, 6, mtime=0) if len(body) >= _WORTH_COMPRESSING else None
        return Text(file.version, file.modified, body, compressed)

    def keep(self, wanted: Wanted, text: Text) -> None:
        """From now on it is at hand."""
        kept = _Kept(text, _memory_of(wanted, text))
        if kept.memory <= _MOST:
            self._kept[wanted] = kept


@dataclass(frozen=True, slots=True)
class _Kept:
    """A list, and about how many bytes of memory it takes with its key."""

    text: Text
    memory: int


def _memory_of(wanted: Wanted, text: Text) -> int:
    return _OVERHEAD + len(text.body) + len(text.compressed or b"") + len(wanted.token) + sum(map(len, wanted.names))


def _rewritten(text: str, wanted: Wanted) -> str:
    prefix = "../" if wanted.is_deeper else ""
    suffix = f"?token={wanted.token}" if wanted.token else ""

    def changed(match: re.Match[str]) -> str:
        return f"{match[1]}{prefix}{match[2]}{suffix}"

    patterns = (_PICTURE,) if wanted.names[-1].endswith(".vtt") else (_LINE, _ATTRIBUTE)
    return _all(patterns, changed, text)


def _all(patterns: tuple[re.Pattern[str], ...], changed: Callable[[re.Match[str]], str], text: str) -> str:
    for pattern in patterns:
        text = pattern.sub(changed, text)
    return text
