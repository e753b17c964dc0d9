"""Playlists and other lists of URIs, as the bytes that clients get: kept ready, also compressed.

The URIs in the published files are relative to the file. Who asked with a playback token needs it in every URI; who
asked for the list with a slash behind its name, as every path of /api/ may be asked for, is one level deeper.
"""

from __future__ import annotations

import gzip
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from videoflix.media.files import open_below, read_below

_MOST = 32 * 1024 * 1024  # bytes that are kept
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
        self._kept: OrderedDict[Wanted, Text] = OrderedDict()
        self._size = 0

    def at_hand(self, wanted: Wanted) -> Text | None:
        """The list, when it is kept and its file is still the same. Raises NotFound when there is none any more."""
        text = self._kept.get(wanted)
        if text is None:
            return None
        file = open_below(self._base, *wanted.names)
        file.close()
        if file.version != text.version:
            return None
        self._kept.move_to_end(wanted)
        return text

    def make(self, wanted: Wanted) -> Text:
        """Read and prepare it: for a thread. Raises NotFound."""
        content, file = read_below(self._base, *wanted.names)
        body = _rewritten(content.decode(), wanted).encode() if wanted.token or wanted.is_deeper else content
        compressed = gzip.compress(body, 6, mtime=0) if len(body) >= _WORTH_COMPRESSING else None
        return Text(file.version, file.modified, body, compressed)

    def keep(self, wanted: Wanted, text: Text) -> None:
        """From now on it is at hand."""
        self._forget(wanted)
        self._kept[wanted] = text
        self._size += _size(text)
        while self._size > _MOST:
            self._forget(next(iter(self._kept)))

    def _forget(self, wanted: Wanted) -> None:
        text = self._kept.pop(wanted, None)
        if text is not None:
            self._size -= _size(text)


def _size(text: Text) -> int:
    return len(text.body) + len(text.compressed or b"")


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
