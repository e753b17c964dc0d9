"""videoflix.media.playlist_cache: what is kept, and for how long."""

from __future__ import annotations

from pathlib import Path

import pytest

from videoflix.errors import NotFound
from videoflix.media import playlist_cache
from videoflix.media.playlist_cache import PlaylistCache, PlaylistKey

# Enough for two entries of 100 bytes, not for three.
_MAX_CACHE_BYTES = 5 * (playlist_cache._ENTRY_OVERHEAD_BYTES + 100) // 2


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlaylistCache:
    """Has space for two playlists of 100 bytes."""
    monkeypatch.setattr(playlist_cache, "_MAX_CACHE_BYTES", _MAX_CACHE_BYTES)
    return PlaylistCache(str(tmp_path))


def add(cache: PlaylistCache, folder: Path, name: str, size: int = 100) -> PlaylistKey:
    (folder / name).write_bytes(b"#" * size)
    key = PlaylistKey((name,))
    cache.put(key, cache.load(key))
    return key


def test_the_least_recently_used_playlist_is_evicted(cache: PlaylistCache, tmp_path: Path) -> None:
    first, second = add(cache, tmp_path, "1"), add(cache, tmp_path, "2")
    assert cache.get_cached(first)
    third = add(cache, tmp_path, "3")
    assert [bool(cache.get_cached(key)) for key in (first, second, third)] == [True, False, True]


def test_a_playlist_that_is_too_large_is_not_cached(cache: PlaylistCache, tmp_path: Path) -> None:
    small, large = add(cache, tmp_path, "1"), add(cache, tmp_path, "2", size=_MAX_CACHE_BYTES)
    assert cache.get_cached(small)
    assert cache.get_cached(large) is None


def test_a_playlist_is_not_served_after_its_file_changed(cache: PlaylistCache, tmp_path: Path) -> None:
    key = add(cache, tmp_path, "1")
    (tmp_path / "new").write_bytes(b"#")
    (tmp_path / "new").replace(tmp_path / "1")
    assert cache.get_cached(key) is None
    (tmp_path / "1").unlink()
    cache.put(key, playlist_cache.CachedPlaylist("0-0-0", 0, b"#", None))
    with pytest.raises(NotFound):
        cache.get_cached(key)
