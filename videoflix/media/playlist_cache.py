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

from videoflix.media.safe_open import open_below, read_below

_MAX_CACHE_BYTES = 32 * 1024 * 1024  # bytes that are kept
_OVERHEAD = 1200  # bytes of the objects of one list; short lists with a token each are the most of them
_MIN_COMPRESSED_BYTES = 256  # bytes

_URI_ATTRIBUTE = re.compile(r'(URI=")([^"]+)(?=")')
_URI_LINE = re.compile(r"^()([^#\s][^\s]*)$", re.MULTILINE)
_STORYBOARD_IMAGE = re.compile(r"^()([0-9]+\.jpg)", re.MULTILINE)  # of a storyboard, before #xywh=


@dataclass(frozen=True, slots=True)
class CachedPlaylist:
    """A list as it is sent."""

    version: str  # of the file that it was made from
    modified_at: int  # Unix time
    body: bytes
    compressed: bytes | None  # gzip; None when it is not worth it


@dataclass(frozen=True, slots=True)
class PlaylistKey:
    """A list, and how its URIs have to look. `token` is URL-safe."""

    path_parts: tuple[str, ...]  # below the folder of all films
    token: str = ""
    has_trailing_slash: bool = False


class PlaylistCache:
    """One per web process; of the lists that are asked for, the latest fill a bounded memory."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._entries: LRUCache[PlaylistKey, _Kept] = LRUCache(_MAX_CACHE_BYTES, lambda kept: kept.memory)

    def get_cached(self, key: PlaylistKey) -> CachedPlaylist | None:
        """The list, when it is kept and its file is still the same. Raises NotFound when there is none any more."""
        kept = self._entries.get(key)
        if kept is None:
            return None
        file = open_below(self._base, *key.path_parts)
        file.close()
        return kept.text if file.version == kept.text.version else None

    def load(self, key: PlaylistKey) -> CachedPlaylist:
        """Read and prepare it: for a thread. Raises NotFound."""
        content, file = read_below(self._base, *key.path_parts)
        body = _rewrite_uris(content.decode(), key).encode() if key.token or key.has_trailing_slash else content
        compressed = gzip.compress(body, 6, mtime=0) if len(body) >= _MIN_COMPRESSED_BYTES else None
        return CachedPlaylist(file.version, file.modified_at, body, compressed)

    def put(self, key: PlaylistKey, playlist: CachedPlaylist) -> None:
        """From now on it is at hand."""
        kept = _Kept(playlist, _memory_of(key, playlist))
        if kept.memory <= _MAX_CACHE_BYTES:
            self._entries[key] = kept


@dataclass(frozen=True, slots=True)
class _Kept:
    """A list, and about how many bytes of memory it takes with its key."""

    text: CachedPlaylist
    memory: int


def _memory_of(wanted: PlaylistKey, text: CachedPlaylist) -> int:
    return (
        _OVERHEAD + len(text.body) + len(text.compressed or b"") + len(wanted.token) + sum(map(len, wanted.path_parts))
    )


def _rewrite_uris(text: str, key: PlaylistKey) -> str:
    prefix = "../" if key.has_trailing_slash else ""
    suffix = f"?token={key.token}" if key.token else ""

    def changed(match: re.Match[str]) -> str:
        return f"{match[1]}{prefix}{match[2]}{suffix}"

    patterns = (_STORYBOARD_IMAGE,) if key.path_parts[-1].endswith(".vtt") else (_URI_LINE, _URI_ATTRIBUTE)
    return _substitute_all(patterns, changed, text)


def _substitute_all(
    patterns: tuple[re.Pattern[str], ...], replacement: Callable[[re.Match[str]], str], text: str
) -> str:
    for pattern in patterns:
        text = pattern.sub(replacement, text)
    return text
