"""A cache of playlists and other lists of URIs in the form in which they are sent, including a compressed one.

URIs in published files are relative to the file. A client that authenticates with a playback token needs it in every
URI. A client that requests a list with a slash after its name, as every path of /api/ allows, is one level deeper.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

from videoflix.media.safe_open import open_below, read_below

_MAX_CACHE_BYTES = 32 * 1024 * 1024
_ENTRY_OVERHEAD_BYTES = 1200  # of the objects of one list; most lists are short, with a token each
_MIN_COMPRESSED_BYTES = 256

_URI_ATTRIBUTE = re.compile(r'(URI=")([^"]+)(?=")')
_URI_LINE = re.compile(r"^()([^#\s][^\s]*)$", re.MULTILINE)
_STORYBOARD_IMAGE = re.compile(r"^()([0-9]+\.jpg)", re.MULTILINE)  # in a storyboard, before #xywh=


@dataclass(frozen=True, slots=True)
class CachedPlaylist:
    """A list as it is sent."""

    version: str  # of the file that it was made from
    modified_at: int  # Unix time
    body: bytes
    compressed: bytes | None  # gzip, or None for a short list

    @property
    def size_bytes(self) -> int:
        """Memory that the entry takes."""
        return len(self.body) + len(self.compressed or b"")


@dataclass(frozen=True, slots=True)
class PlaylistKey:
    """A list and the form of its URIs."""

    path_parts: tuple[str, ...]  # below the folder of all videos
    token: str = ""  # playback token, URL-safe
    has_trailing_slash: bool = False


class PlaylistCache:
    """The playlist cache of a web process, which keeps the most recently used lists."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._entries: LRUCache[PlaylistKey, _CacheEntry] = LRUCache(
            _MAX_CACHE_BYTES, getsizeof=lambda entry: entry.size_bytes
        )

    def get_cached(self, key: PlaylistKey) -> CachedPlaylist | None:
        """Return the list if it is cached and its file has not changed. Raises NotFound if the file is gone."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        file = open_below(self._base, *key.path_parts)
        file.close()
        return entry.playlist if file.version == entry.playlist.version else None

    def load(self, key: PlaylistKey) -> CachedPlaylist:
        """Read and rewrite the list; call it in a thread. Raises NotFound."""
        content, file = read_below(self._base, *key.path_parts)
        body = _rewrite_uris(content.decode(), key).encode() if key.token or key.has_trailing_slash else content
        compressed = gzip.compress(body, 6, mtime=0) if len(body) >= _MIN_COMPRESSED_BYTES else None
        return CachedPlaylist(file.version, file.modified_at, body, compressed)

    def put(self, key: PlaylistKey, playlist: CachedPlaylist) -> None:
        """Add or replace a list, unless it alone exceeds the size of the cache."""
        entry = _CacheEntry(playlist, _estimate_size_bytes(key, playlist))
        if entry.size_bytes <= self._entries.maxsize:
            self._entries[key] = entry


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    playlist: CachedPlaylist
    size_bytes: int  # estimated memory of the list and its key


def _estimate_size_bytes(key: PlaylistKey, playlist: CachedPlaylist) -> int:
    texts = (playlist.body, playlist.compressed or b"", key.token, *key.path_parts)
    return _ENTRY_OVERHEAD_BYTES + sum(map(len, texts))


def _rewrite_uris(text: str, key: PlaylistKey) -> str:
    prefix = "../" if key.has_trailing_slash else ""
    suffix = f"?token={key.token}" if key.token else ""

    def rewrite(match: re.Match[str]) -> str:
        return f"{match[1]}{prefix}{match[2]}{suffix}"

    patterns = (_STORYBOARD_IMAGE,) if key.path_parts[-1].endswith(".vtt") else (_URI_LINE, _URI_ATTRIBUTE)
    return _substitute_all(patterns, rewrite, text)


def _substitute_all(
    patterns: tuple[re.Pattern[str], ...], replacement: Callable[[re.Match[str]], str], text: str
) -> str:
    for pattern in patterns:
        text = pattern.sub(replacement, text)
    return text
